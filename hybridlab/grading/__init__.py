"""Exercises: their manifest, their checks, and a grader that a learner's code cannot harm."""
