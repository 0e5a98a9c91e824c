"""`python -m benchmarks NAME` measures one ratio; `... all` measures all into results.json.

`python -m benchmarks NAME --record` puts that one into results.json and leaves the others. Both
write `docs/benchmarks.md` and its figure anew.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

# A new benchmark is one file here with a `measure() -> dict`, and one name in this list.
NAMES = (
    "scenes_vs_encoder", "ap_vs_sklearn", "ap_vs_torchmetrics", "bootstrap", "ablation_sharing",
    "text_cache", "beam_vs_loop", "matching_share", "loop_overhead", "cache_vs_recompute",
    "cached_epoch", "data_share", "channels_last", "compile_gain", "costs", "thresholds_vs_loop",
    "predict_vs_loop",
)
GPU_NAMES = ("gpu_models", "gpu_hybrid")  # `all` takes them in where there is a GPU


def main(arguments: list[str]) -> int:
    """Run the benchmarks named; each prints one line."""
    record = "--record" in arguments or arguments == ["all"]
    named = [name for name in arguments if name != "--record"]
    every = NAMES + GPU_NAMES
    wanted = [name for name in every if name in NAMES or _gpu()] if named == ["all"] else named
    unknown = [name for name in wanted if name not in every]
    if not wanted or unknown:
        names = ", ".join(every)
        print(f"usage: python -m benchmarks NAME [--record] | all; names: {names}", file=sys.stderr)
        return 2
    if (without := [name for name in wanted if name in GPU_NAMES]) and not _gpu():
        print(f"{', '.join(without)}: needs a GPU, and PyTorch sees none here", file=sys.stderr)
        return 2
    path = Path(__file__).parent / "results.json"
    results = {}
    for name in wanted:
        results[name] = import_module(f"benchmarks.{name}").measure()
        print(json.dumps(results[name]), flush=True)
    if record:
        from hybridlab.files import write_json

        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        both = {**before, **results}
        write_json(path, {name: both[name] for name in every if name in both}, overwrite=True)
        from benchmarks.page import write

        write()
    return 0


def _gpu() -> bool:
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
