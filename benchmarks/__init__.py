"""Speed as ratios measured in one run: `python -m benchmarks NAME` prints one line of JSON."""
