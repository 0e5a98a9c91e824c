"""`python -m benchmarks NAME` measures one ratio; `... all` measures all into results.json."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

# A new benchmark is one file here with a `measure() -> dict`, and one name in this list.
NAMES = (
    "scenes_vs_encoder", "ap_vs_sklearn", "ap_vs_torchmetrics", "bootstrap", "ablation_sharing",
    "text_cache",
)


def main(arguments: list[str]) -> int:
    """Run the benchmarks named; each prints one line."""
    wanted = list(NAMES) if arguments == ["all"] else arguments
    unknown = [name for name in wanted if name not in NAMES]
    if not wanted or unknown:
        print(f"usage: python -m benchmarks NAME | all; names: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    results = {}
    for name in wanted:
        results[name] = import_module(f"benchmarks.{name}").measure()
        print(json.dumps(results[name]), flush=True)
    if arguments == ["all"]:
        from hybridlab.files import write_json

        write_json(Path(__file__).parent / "results.json", results, overwrite=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
