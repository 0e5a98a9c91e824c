"""Stages, loop, feature cache and CLIP pretraining."""
