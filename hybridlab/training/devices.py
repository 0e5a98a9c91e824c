"""On which devices, and how fast: one `Fabric` carries devices, precision and processes.

No torch here until it is asked for: the command line reads these settings to print its help.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class NoDeviceError(RuntimeError):
    """A device was asked for that is not here; the message says what is."""


@dataclass(frozen=True)
class DeviceConfig:
    """Where a training runs.

    Attributes:
        accelerator: "auto" takes a GPU where there is one.
        devices: processes on each machine, one for each GPU; on a CPU they share its cores.
        nodes: machines. Each is started by its scheduler, by `torchrun` or by `fabric run`.
        precision: "32-true"; "bf16-mixed" halves memory on GPUs since Ampere; "16-mixed" for older
            ones, with a scaler of the gradient.
        workers: processes that make batches ahead of time; the batches are the same.
        channels_last: keep images as convolutions read them fastest.
        compile: compile the encoders; where that fails, the run goes on without.

    Raises:
        ValueError: a number below its least.
    """

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1
    nodes: int = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    workers: int = 0
    channels_last: bool = True
    compile: bool = False

    def __post_init__(self) -> None:
        for name, least in (("devices", 1), ("nodes", 1), ("workers", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; give {least} or more")


def _as_started(config: DeviceConfig) -> DeviceConfig:
    """The settings with those of `fabric run`, which starts the processes itself; it reads
    `--devices` and the like wherever they stand, so the command never sees them."""
    told = {name: os.environ[f"LT_{name.upper()}"]
            for name in ("accelerator", "devices", "num_nodes", "strategy", "precision")
            if f"LT_{name.upper()}" in os.environ and "LT_CLI_USED" in os.environ}
    if not told:
        return config
    if "strategy" in told or not told["devices"].isdigit():
        raise NoDeviceError(
            "give `fabric run` a number of --devices and no --strategy; it is DDP, with settings "
            "that the stages need"
        )
    gpu = told.get("accelerator", config.accelerator) in ("cuda", "gpu")
    return replace(
        config, accelerator="gpu" if gpu else "cpu", devices=int(told["devices"]),
        nodes=int(told.get("num_nodes", 1)),
        precision=told.get("precision", config.precision),  # type: ignore[arg-type]
    )


def fabric_of(config: DeviceConfig) -> Fabric:
    """The engine for these settings, launched: from here on each process runs the same code.

    Under `fabric run`, what that was given counts.

    Raises:
        NoDeviceError: a GPU, several, or a precision was asked for that is not here.
    """
    import torch
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    config = _as_started(config)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    accelerator = config.accelerator
    if accelerator == "auto":
        accelerator = "gpu" if count else "cpu"
    if accelerator == "gpu" and not count:
        raise NoDeviceError(
            f"a GPU was asked for, and PyTorch {torch.__version__} sees none; look at `nvidia-smi` "
            "and `hybridlab doctor`, or go on with `--accelerator cpu`"
        )
    if accelerator == "gpu" and config.devices > count:
        raise NoDeviceError(
            f"{config.devices} GPUs were asked for, and there are {count}; give `--devices {count}`"
        )
    if config.precision == "16-mixed" and accelerator == "cpu":
        raise NoDeviceError(
            "precision 16-mixed needs a GPU; on a CPU choose 32-true (bf16-mixed works, but is "
            "rarely faster there)"
        )
    if config.precision == "bf16-mixed" and accelerator == "gpu" and (
        not torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        raise NoDeviceError(
            f"{torch.cuda.get_device_name()} does not compute in bf16; choose `--precision "
            "16-mixed`, or 32-true"
        )
    several = config.devices * config.nodes > 1
    strategy = DDPStrategy(
        # a stage may weigh a head with 0, and a process may have no row of the last batch
        find_unused_parameters=True,
        process_group_backend="nccl" if accelerator == "gpu" else "gloo",
    ) if several else "auto"
    cuda = accelerator == "gpu"
    fabric = Fabric(
        accelerator="cuda" if cuda else "cpu", devices=config.devices, num_nodes=config.nodes,
        precision=config.precision, strategy=strategy,
    )
    if cuda:
        torch.set_float32_matmul_precision("high")  # TF32
    if "LT_CLI_USED" not in os.environ:  # `fabric run` has launched this process already
        fabric.launch()
    return fabric
