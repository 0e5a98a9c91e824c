"""HybridLab: a course that builds a hybrid multi-label image classifier."""

__version__ = "0.1.0"
