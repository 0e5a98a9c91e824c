"""The losses of CLIP and SigLIP, in one process or several, and retrieval measured both ways."""
