"""How good a classifier is: metrics, decision thresholds and bootstrap intervals."""
