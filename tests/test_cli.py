"""The command line: quick to start, plain in its errors, and every command reaches its code."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

import hybridlab
from hybridlab import cli
from hybridlab.configs import DemoConfig, PretrainConfig
from hybridlab.data.world import SceneConfig
from hybridlab.files import NotEnoughDiskError

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "torchvision", "open_clip", "timm", "sklearn", "torchmetrics", "matplotlib")
COMMANDS = ("demo", "predict", "world", "doctor", "lab", "pretrain-clip", "ship", "grade", "export",
            "evaluate", "data")


def python(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **env},
    )


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **members: object) -> None:
    """Put a light module in the place of one that would train for minutes."""
    module = ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)


def recorder(answer: object = 0) -> tuple[list, Callable[..., object]]:
    calls: list = []

    def call(*args: object, **kwargs: object) -> object:
        calls.append((args, kwargs))
        return answer

    return calls, call


# --- quick to start ---


@pytest.mark.parametrize(
    "code", ["import hybridlab", "import hybridlab.cli, sys; hybridlab.cli.parse(['doctor'])"]
)
def test_nothing_heavy_is_imported_at_first(code: str) -> None:
    done = python("-c", f"{code}; import sys; print(sorted(set({HEAVY}) & set(sys.modules)))")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_import_and_help_are_quick() -> None:
    """0.5 s and 1 s on an idle machine; CPU seconds, so that a busy one does not matter much."""
    timed = "import time; t = time.process_time(); {}; print(time.process_time() - t)"
    assert float(python("-c", timed.format("import hybridlab")).stdout) < 0.5
    began = os.times()
    assert python("-m", "hybridlab", "--help").returncode == 0
    ended = os.times()
    spent = ended.children_user + ended.children_system
    assert spent - began.children_user - began.children_system < 1.5


def test_help_names_every_command_and_imports_no_torch() -> None:
    done = python("-X", "importtime", "-m", "hybridlab", "--help")
    for command in COMMANDS:
        assert f"• {command}" in done.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "hybridlab.cli" in imported and not imported & set(HEAVY)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    assert f"usage: hybridlab {command}" in capsys.readouterr().out


def test_no_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    assert stop.value.code == 0 and "usage: hybridlab" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"hybridlab {hybridlab.__version__}\n"


# --- lazy names ---


def test_every_lazy_name_is_what_its_module_defines() -> None:
    for name in hybridlab.__all__:
        assert getattr(hybridlab, name) is not None
        assert name in dir(hybridlab)
    assert hybridlab.SceneConfig is SceneConfig
    assert hybridlab.DemoConfig is DemoConfig


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Predicter'"):
        hybridlab.Predicter  # noqa: B018
    with pytest.raises(ImportError):
        from hybridlab import Predicter  # noqa: F401


def test_threads_wait_without_spinning_unless_told_otherwise() -> None:
    code = "import os, hybridlab; print(os.environ['OMP_WAIT_POLICY'])"
    assert python("-c", code, OMP_WAIT_POLICY="ACTIVE").stdout.strip() == "ACTIVE"
    free = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        env={**free, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.strip() == "PASSIVE"


# --- options reach the code ---


def test_demo_options(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, run_demo = recorder()
    stand_in(monkeypatch, "hybridlab.demo", run_demo=run_demo)
    assert cli.main(["demo"]) == 0
    assert cli.main(["demo", "--quick", "--train", "40", "--runs", "r", "--no-cache"]) == 0
    (first, _), (second, _) = calls
    assert first == (DemoConfig(), Path("runs"), Path("runs/.cache"))
    quick = DemoConfig.quick()
    assert second[0].train == 40 and second[0].val == quick.val != DemoConfig().val
    assert second[1:] == (Path("r"), None)


def test_predict_options(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, main_predict = recorder(1)
    stand_in(monkeypatch, "hybridlab.predict", main_predict=main_predict)
    stand_in(
        monkeypatch, "hybridlab.bundle",
        bundle_named=lambda name: Path("assets/hybrid" if name == "shipped" else name),
    )
    status = cli.main(
        ["predict", "shipped", "a.png", "b", "--output", "json", "--out", "o.json", "--top", "3"]
    )
    assert status == 1, "the exit status of main_predict is passed on"
    assert cli.main(["predict", "./shipped", "c.jpg", "--threshold", "0.25"]) == 1
    assert calls[0] == (
        (Path("assets/hybrid"), [Path("a.png"), Path("b")]),
        {"output": "json", "out": Path("o.json"), "top": 3, "threshold": None, "resume": False,
         "n_labels": None},
    )
    assert calls[1][0][0] == Path("./shipped")
    assert calls[1][1] == {"output": "table", "out": None, "top": None, "threshold": 0.25,
                           "resume": False, "n_labels": None}


@pytest.mark.parametrize("mark", ["-", "_"])
def test_predict_takes_the_names_of_published_scripts(
    mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, main_predict = recorder()
    stand_in(monkeypatch, "hybridlab.predict", main_predict=main_predict)
    stand_in(monkeypatch, "hybridlab.bundle", bundle_named=Path)
    given = [
        "--model-path", "./checkpoints/bundle", "--image-path", "./test_images/",
        "--num-classes", "80", "--threshold", "0.5", "--batch-mode", "--save-dir", "./predictions",
    ]
    given = [f"--{word[2:].replace('-', mark)}" if word[:2] == "--" else word for word in given]
    assert cli.main(["predict", *given]) == 0
    (positional, options), = calls
    assert positional == (Path("checkpoints/bundle"), [Path("test_images")])
    assert options == {
        "output": "picture", "out": Path("predictions"), "top": None, "threshold": 0.5,
        "resume": False, "n_labels": 80,
    }
    both = ["--model-path", "b", "x.png", "y.png", "--image-path", "z.png"]
    assert cli.main(["predict", *both]) == 0
    assert calls[1][0] == (Path("b"), [Path("x.png"), Path("y.png"), Path("z.png")])
    assert cli.main(
        ["predict", "b", "x.png", "--output", "jsonl", "--out", "a.jsonl", "--resume"]) == 0
    assert calls[2][1]["resume"] is True and calls[2][1]["output"] == "jsonl"


def test_pretrain_and_ship_options(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, call = recorder(None)
    stand_in(monkeypatch, "hybridlab.training.clip_release", main_pretrain=call)
    stand_in(monkeypatch, "hybridlab.ship", main_ship=call)
    assert cli.main(["pretrain-clip", "--schedule", "3", "64", "2", "96", "--seed", "5"]) == 0
    assert cli.main(["ship", "--quick", "--install", "--runs", "r"]) == 0
    (folder, config), options = calls[0]
    assert options == {"install": False}
    assert folder == Path("runs/tiny_clip")
    assert config == PretrainConfig(schedule=((3, 64), (2, 96)), seed=5)
    assert cli.main(["ship"]) == 0
    assert calls[2][0] == (DemoConfig.shipped(),)
    assert calls[1] == (
        (DemoConfig.quick(),),
        {"runs": Path("r"), "cache": Path("r/.cache"), "install": True},
    )


def test_doctor_and_lab_options(monkeypatch: pytest.MonkeyPatch) -> None:
    from hybridlab.doctor import Finding

    asked: list[object] = []
    found = [Finding("disk", "warn", "1 GB", "make room")]

    def diagnose(*, speed: bool) -> list[Finding]:
        asked.append(speed)
        return found

    monkeypatch.setattr("hybridlab.doctor.diagnose", diagnose)
    assert cli.main(["doctor"]) == 0
    found.append(Finding("torch", "fail", "gone", "install it"))
    assert cli.main(["doctor", "--no-speed"]) == 1
    assert asked == [True, False]
    calls, run_lab = recorder()
    monkeypatch.setattr("hybridlab.lab.run_lab", run_lab)
    assert cli.main(["lab", "--no-browser", "--port", "9000"]) == 0
    assert calls == [((), {"browser": False, "port": 9000})]


# --- the world ---


def test_world_writes_a_sheet_and_keeps_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scenes.png"
    arguments = ["world", "--out", str(out), "--count", "5", "--cooccurrence", "0.2"]
    assert cli.main(arguments) == 0
    picture = Image.open(out)
    assert picture.width > 800 and picture.height > 500
    assert len(picture.convert("RGB").getcolors(10**6) or []) > 1000, "the sheet is empty"
    before = out.read_bytes()
    assert cli.main([*arguments, "--seed", "1"]) == 2
    assert out.read_bytes() == before
    assert "exists and is kept" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [out]


# --- errors ---


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict"], "no BUNDLE was given"),
        (["predict", "shipped"], "no picture was given"),
        (["predict", "--model-path", "b"], "no picture was given"),
        (["predict", "b", "x.png", "--num-classes", "0"], "num_classes is 0"),
        (["predict", "b", "x.png", "--save-dir", "d", "--output", "csv"], "a folder for pictures"),
        (["predict", "shipped", "a.png", "--top", "0"], "top is 0"),
        (["predict", "shipped", "a.png", "--threshold", "nan"], "threshold is nan"),
        (["demo", "--train", "0"], "train is 0; give 1 or more; see `hybridlab demo --help`"),
        (["demo", "--lr", "inf"], "lr is inf"),
        (["world", "--style", "sepia"], "known styles: colour, grey, sketch"),
        (["world", "--out", "scenes.jpg"], "ends in .png"),
        (["world", "--count", "0"], "count is 0"),
        (["demo", "--train", "many"], "--train: 'many' is not a whole number; see"),
        (["predict", "shipped", "a.png", "--top", "two"], "--top: 'two' is not a whole number"),
        (["demo", "--lr", "fast"], "--lr: 'fast' is not a number"),
        (["evaluate", "shipped", "--scenes", "0"], "scenes is 0"),
        (["evaluate", "shipped", "--threshold", "2"], "threshold is 2.0"),
    ],
)
def test_a_bad_value_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    err = capsys.readouterr().err
    assert stop.value.code == 2
    assert err.startswith("hybridlab: ") and err.count("\n") == 1 and "tyro" not in err
    assert words in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "Available subcommands: demo"),
        (["demo", "--trian", "5"], "--train INT"),
        (["predict", "shipped", "a.png", "--output", "jsn"], "'picture'"),
    ],
)
def test_a_mistyped_name_comes_with_a_suggestion(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2 and words in capsys.readouterr().err


class OurOwnError(RuntimeError):
    """As MissingWeightsError: no ValueError, but an error of the package."""


OurOwnError.__module__ = "hybridlab.encoders.base"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("two\n  lines"), "two lines"),
        (OurOwnError("the weights are missing"), "the weights are missing"),
        (NotEnoughDiskError("not enough disk space"), "not enough disk space"),
        (FileNotFoundError(2, "No such file or directory", "x"), "x: No such file or directory"),
        (FileExistsError("run exists and is kept"), "run exists and is kept"),
        (FloatingPointError("the loss is nan"), "the loss is nan"),
        (MemoryError(), "not enough memory"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "make setup"),
    ],
)
def test_an_expected_error_is_one_line(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: object, **kwargs: object) -> int:
        raise error

    monkeypatch.delenv("HYBRIDLAB_DEBUG", raising=False)
    monkeypatch.setattr("hybridlab.lab.run_lab", fail)
    assert cli.main(["lab"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("hybridlab: ") and err.count("\n") == 1 and line in err
    monkeypatch.setenv("HYBRIDLAB_DEBUG", "1")
    with pytest.raises(type(error)):
        cli.main(["lab"])


@pytest.mark.parametrize("error", [TypeError("bug"), KeyError("bug"), RuntimeError("bug")])
def test_a_bug_keeps_its_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**kwargs: object) -> int:
        raise error

    monkeypatch.setattr("hybridlab.lab.run_lab", fail)
    with pytest.raises(type(error)):
        cli.main(["lab"])


def test_ctrl_c_is_one_line_and_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(**kwargs: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("hybridlab.lab.run_lab", stop)
    assert cli.main(["lab"]) == 130
    assert capsys.readouterr().err == "hybridlab: stopped; nothing half-written\n"


def test_ctrl_c_while_the_command_line_is_still_being_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hybridlab import __main__

    class Stopped:
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "hybridlab.cli", Stopped())
    assert __main__.main() == 130
    assert capsys.readouterr().err == "hybridlab: stopped; nothing half-written\n"


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """As in `hybridlab doctor | head -0`."""
    code = (
        "import sys, time; from hybridlab import cli, lab\n"
        "lab.run_lab = lambda **k: (time.sleep(1), print('x' * 200000))[0] or 0\n"
        "sys.exit(cli.main(['lab']))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None and child.stderr is not None
    child.stdout.close()
    began = time.monotonic()
    assert child.wait(timeout=30) == 141, time.monotonic() - began
    assert child.stderr.read() == b""
    child.stderr.close()
