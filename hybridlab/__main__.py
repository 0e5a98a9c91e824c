"""`python -m hybridlab` is the command `hybridlab`."""

import sys

from hybridlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
