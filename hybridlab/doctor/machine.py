"""Checks of Python, the packages and the hardware. Nothing is imported but torch, in one check."""

from __future__ import annotations

import os
import platform
import shutil
import struct
import sys
import tempfile
from importlib import import_module, metadata
from pathlib import Path

from hybridlab.doctor.finding import Finding

PYTHON = (3, 11)
SETUP = "run `make setup` in the course's folder"
# A container may be given less than the machine has.
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
ENOUGH_MEMORY = 4e9
ENOUGH_DISK, LEAST_DISK = 2e9, 0.3e9  # a run of the demo writes up to 0.3 GB


def check_python() -> Finding:
    """Python's version against the oldest that the package supports."""
    found = sys.version_info
    what = f"{found[0]}.{found[1]}.{found[2]}"
    if tuple(found[:2]) < PYTHON:
        wanted = ".".join(map(str, PYTHON))
        return Finding(
            "Python", "fail", f"{what}, but {wanted} or newer is needed",
            f"install Python {wanted} or newer, then run `make setup`",
        )
    return Finding("Python", "ok", what)


def check_system() -> Finding:
    """The system and the processor's kind; torch has no builds for some."""
    what = f"{platform.system()}, {platform.machine()}"
    if 8 * struct.calcsize("P") < 64:
        return Finding("system", "fail", f"{what}, 32-bit Python", "install a 64-bit Python")
    if platform.system() == "Darwin" and platform.machine() == "x86_64":
        return Finding(
            "system", "warn", what,
            "torch has no current build for Intel Macs; on Apple silicon, install an arm64 Python",
        )
    return Finding("system", "ok", what)


def check_packages() -> Finding:
    """Every package that the project asks for, by its metadata: none is imported."""
    from packaging.requirements import Requirement
    from packaging.version import Version

    asked = _requirements()
    if asked is None:
        return Finding("packages", "fail", "hybridlab itself is not installed", SETUP)
    missing, wrong, fine = [], [], 0
    for line in asked:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            missing.append(wanted.name)
            continue
        if not wanted.specifier.contains(Version(version), prereleases=True):
            wrong.append(f"{wanted.name} {version} (needed {wanted.specifier})")
        fine += 1
    if missing or wrong:
        parts = [f"missing: {', '.join(missing)}"] * bool(missing)
        parts += [f"another version: {', '.join(wrong)}"] * bool(wrong)
        return Finding("packages", "fail", "; ".join(parts), SETUP)
    return Finding("packages", "ok", f"all {fine} that the course needs")


def _requirements() -> list[str] | None:
    """From the installed package, or from pyproject.toml where the checkout is used as it is."""
    try:
        return metadata.requires("hybridlab") or []
    except metadata.PackageNotFoundError:
        pass
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    if not pyproject.is_file():
        return None
    import tomllib

    return list(tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"])


def check_torch() -> Finding:
    """Whether torch can be imported, and what it would compute on."""
    try:
        torch = import_module("torch")
    except Exception as error:  # a broken build fails with OSError, RuntimeError, ImportError, ...
        text = " ".join(str(error).split())[:200]
        return Finding("torch", "fail", f"cannot be imported ({text})", SETUP)
    what = f"{torch.__version__}, {torch.get_num_threads()} CPU threads"
    if torch.cuda.is_available():
        return Finding(
            "torch", "ok", f"{what}, GPU: {torch.cuda.get_device_name(0)}",
            "the GPU helps from lesson 06 on; the demo needs none",
        )
    if torch.backends.mps.is_available():
        return Finding("torch", "ok", f"{what}, GPU: Apple (MPS)", "the demo runs on the CPU")
    return Finding("torch", "ok", f"{what}, no GPU", "none is needed for the demo or notebook 00")


def check_jupyter() -> Finding:
    """JupyterLab and the kernel that runs the notebooks."""
    missing = []
    for name in ("jupyterlab", "ipykernel", "ipywidgets"):
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("Jupyter", "fail", f"missing: {', '.join(missing)}", SETUP)
    return Finding(
        "Jupyter", "ok", f"JupyterLab {metadata.version('jupyterlab')}",
        "`make lab` opens the course",
    )


def check_disk() -> Finding:
    """Free space where runs would be written."""
    free = shutil.disk_usage(Path.cwd()).free
    what = f"{free / 1e9:.1f} GB free"
    if free < LEAST_DISK:
        return Finding(
            "disk", "fail", what, f"free some space: the demo needs {LEAST_DISK / 1e9:.1f} GB"
        )
    if free < ENOUGH_DISK:
        return Finding(
            "disk", "warn", what, "enough for a run or two; delete old folders in runs/, or use "
            "`hybridlab demo --no-cache`",
        )
    return Finding("disk", "ok", what)


def memory_bytes() -> int | None:
    """Memory of this machine or container in bytes; None where the system does not tell."""
    try:
        amount = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
    limit = _first_word(MEMORY_LIMIT)
    return min(amount, int(limit)) if limit.isdigit() else amount


def check_memory() -> Finding:
    """Memory, with advice below 4 GB."""
    amount = memory_bytes()
    if amount is None:
        return Finding("memory", "ok", "not known on this system", "4 GB or more is comfortable")
    what = f"{amount / 1e9:.1f} GB"
    if amount < ENOUGH_MEMORY:
        return Finding(
            "memory", "warn", what,
            "close other programs and run one notebook at a time; `hybridlab demo --train 1000` "
            "needs less",
        )
    return Finding("memory", "ok", what)


def core_count() -> float:
    """Processor cores that this process may use; a container's share may be a fraction."""
    try:
        count: float = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        count = os.cpu_count() or 1
    try:
        quota, period = CPU_LIMIT.read_text().split()
        count = min(count, int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or "max"
        pass
    return count


def check_cores() -> Finding:
    """Cores; the course's times are for two."""
    count = core_count()
    what = f"{count:g} core{'s' * (count != 1)}"
    if count < 2:
        return Finding("processor", "warn", what, "works, but takes twice the times given or more")
    return Finding("processor", "ok", what)


def check_writing() -> Finding:
    """Whether a file can be made in the working folder, by making one."""
    folder = Path.cwd()
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".hybridlab-"):
            pass
    except OSError as error:
        return Finding(
            "working folder", "fail", f"{folder} cannot be written to ({error.strerror})",
            "change to a folder of your own, or pass `--runs FOLDER` to `hybridlab demo`",
        )
    return Finding("working folder", "ok", f"{folder.name or folder} can be written to")


def check_colab() -> Finding:
    """Google Colab forgets its files: say so there."""
    if "google.colab" in sys.modules or "COLAB_RELEASE_TAG" in os.environ:
        return Finding(
            "Colab", "warn", "this is Google Colab",
            "its files vanish when the session ends: download runs/ or keep it on Drive; choose "
            "a GPU under Runtime > Change runtime type for the full profile",
        )
    return Finding("Colab", "ok", "not in Colab; files stay where they are written")


def _first_word(path: Path) -> str:
    try:
        return path.read_text().split()[0]
    except (OSError, IndexError):
        return ""
