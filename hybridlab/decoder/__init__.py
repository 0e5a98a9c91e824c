"""Label sequences: order, the CNN-RNN that decodes them, and its per-label scores."""
