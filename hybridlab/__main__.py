"""What the command `hybridlab` and `python -m hybridlab` run."""

import sys


def main() -> int:
    """`cli.main`, with Ctrl-C already understood while the command line is being imported."""
    try:
        from hybridlab.cli import main as command_line

        return command_line()
    except KeyboardInterrupt:
        print("hybridlab: stopped; nothing half-written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
