"""Images or texts -> feature maps, tokens and pooled vectors. Import the module that is needed."""
