"""The grader's own process: right verdicts whatever happens around it."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from hybridlab.grading.launch import Limits
from hybridlab.grading.learner import Source
from hybridlab.grading.manifest import exercise
from hybridlab.grading.service import Service, ServiceError
from hybridlab.grading.workbook import STUBS

HEAD = "import numpy as np\n\n\n# %% Exercise 1.1: Average precision by hand\n"
RIGHT = HEAD + """
def average_precision(scores, targets):
    positive = targets == 1
    return float(np.mean([positive[scores >= s].mean() for s in scores[positive]] or [np.nan]))
"""
WRONG = HEAD + "def average_precision(scores, targets):\n    return 0.25\n"
ENDLESS = HEAD + "def average_precision(scores, targets):\n    while True: pass\n"


def source(text: str) -> Source:
    return Source("lesson_01.py", text)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One whose folder holds files named like modules, and whose Python prints as it starts."""
    folder = tmp_path_factory.mktemp("folder")
    for name in ("torch.py", "numpy.py", "random.py", "json.py"):
        (folder / name).write_text("raise SystemExit('the wrong module')\n")
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text("print('hello', flush=True)\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", str(folder / "site"))
        with Service() as found:
            found.start()
            yield found


def test_verdicts_are_those_of_the_code_and_of_the_seed(service):
    right = service.grade("1.1", source(RIGHT), seed=5)
    assert right.right and right.seed == 5 and right.earned == exercise("1.1").worth
    wrong = service.grade("1.1", source(WRONG), seed=5)
    assert wrong.kind == "wrong value" and wrong.earned == 0
    again = service.grade("1.1", source(WRONG), seed=5)
    assert again.parts == wrong.parts
    assert service.grade("1.1", source(WRONG), seed=6).parts != wrong.parts
    stub = (STUBS / "lesson_01.py.txt").read_text()
    assert service.grade("1.1", source(stub)).kind == "not attempted"


def test_what_the_notebook_does_to_its_own_process_changes_no_verdict(service, monkeypatch):
    import numpy
    import torch

    before = numpy.random.get_state()[1].copy(), torch.get_rng_state()
    for module, name in ((numpy, "allclose"), (numpy, "isclose"), (numpy, "array_equal")):
        monkeypatch.setattr(module, name, lambda *args, **kwargs: True)
    monkeypatch.setattr("hybridlab.grading.trial.Trial.equal", lambda *args, **kwargs: None)
    assert service.grade("1.1", source(WRONG)).kind == "wrong value"
    monkeypatch.undo()
    assert (numpy.random.get_state()[1] == before[0]).all()
    assert torch.equal(torch.get_rng_state(), before[1])


def test_a_process_that_was_ended_is_started_again(service):
    pid = service.pid
    os.kill(pid, signal.SIGKILL)
    assert service.grade("1.1", source(RIGHT)).right
    assert service.pid != pid


def test_an_interrupted_check_leaves_a_grader_that_works(service, tmp_path, monkeypatch):
    service._drop()
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # for the process that is started now
    service.grade("1.1", source(WRONG))
    pid = service.pid
    timer = threading.Timer(0.7, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        service.grade("1.1", source(ENDLESS))
    assert time.monotonic() - began < 4  # the user does not wait for the time limit
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert list(tmp_path.glob("hybridlab-*")) == []  # the learner's folder went, too
    assert service.grade("1.1", source(RIGHT)).right


def test_lower_limits_hold_and_higher_ones_do_not(service):
    began = time.monotonic()
    verdict = service.grade("1.1", source(ENDLESS), limits=Limits(1, 1.0, 2**40))
    assert verdict.kind == "took too long" and time.monotonic() - began < 8
    assert "no result after 1 second" in verdict.parts[0].words


def test_what_the_grader_cannot_do_is_an_error_and_not_a_verdict(service):
    with pytest.raises(ServiceError, match=r"no exercise '9\.9'"):
        service.grade("9.9", source(RIGHT))
    assert service.grade("1.1", source(RIGHT)).right


def test_it_ends_with_the_process_that_started_it(tmp_path, monkeypatch):
    """Killed without a chance to tidy up, and while a forked process holds the pipes open."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    program = tmp_path / "kernel.py"
    program.write_text(
        "import os, time\n"
        "from hybridlab.grading.service import Service\n"
        "service = Service(); service.start()\n"
        "if os.fork() == 0:\n    time.sleep(20); os._exit(0)\n"
        "print(service.pid, flush=True)\n"
        "time.sleep(30)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, start_new_session=True
    ) as kernel:
        pid = int(kernel.stdout.readline())
        kernel.kill()
        until = time.monotonic() + 20
        while time.monotonic() < until and _alive(pid):
            time.sleep(0.1)
        ended = not _alive(pid)
        os.killpg(kernel.pid, signal.SIGKILL)
    assert ended


def test_a_closed_one_says_so():
    service = Service()
    service.close()
    with pytest.raises(ServiceError, match="closed"):
        service.grade("1.1", source(RIGHT))


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
