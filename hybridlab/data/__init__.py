"""What a sample is, and where samples come from."""
