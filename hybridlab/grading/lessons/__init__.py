"""The exercises of each lesson, with their checks."""
