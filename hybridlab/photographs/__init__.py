"""Training on photographs: which pictures, in which splits, and how they are read again."""
