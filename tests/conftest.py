"""Settings for the whole suite."""

import os

# Before torch starts its threads: on a busy machine, threads that spin while they wait for each
# other can make a test a hundred times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")
