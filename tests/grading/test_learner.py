"""Whatever a learner's code does, the grader goes on, says what happened, and loses nothing."""

from __future__ import annotations

import errno
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from hybridlab.grading import launch, sandbox
from hybridlab.grading.launch import Limits
from hybridlab.grading.learner import (
    Crashed,
    Learner,
    NotAttempted,
    Source,
    TookTooLong,
    _imports,
)
from hybridlab.grading.values import Other
from tests.grading.helpers import QUICK, call, source

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits are Linux's")


def test_values_come_back_as_they_are():
    for value in (1, 2.5, True, None, "text", [1, [2.0]], (1, 2), {"a": 1}):
        assert call("return x", value)[0].value == value
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    back = call("return x.T", array)[0].value
    assert back.dtype == np.float32 and np.array_equal(back, array.T)
    tensor = call("return x.double()", torch.ones(2, 2))[0].value
    assert tensor.dtype == torch.float64 and torch.equal(tensor, torch.ones(2, 2).double())
    assert isinstance(call("return object()")[0].value, Other)


def test_what_is_printed_or_warned_costs_nothing_and_is_kept():
    called, output = call("""
        import sys, warnings
        print("hello")
        warnings.warn("beware")
        print("to stderr", file=sys.stderr)
        return 3
    """)
    assert called.value == 3
    assert all(words in output for words in ("hello", "beware", "to stderr"))


def test_a_warning_is_one_line_told_once_without_where_in_torch_it_arose():
    _, output = call("""
        import warnings
        for _ in range(3):
            warnings.warn("copy it\\nso (Triggered internally at /torch/a.cpp:9.)")
    """)
    assert output == "UserWarning: copy it so\n"


@pytest.mark.parametrize(
    "body",
    [
        "for _ in range(200): print('y' * 10**6)\nreturn 2",
        "import os\nfor _ in range(20): os.write(1, b'z' * 10**7)\nreturn 2",
        "import sys\nsys.stdout.write('a' * 10**8)\nreturn 2",
    ],
)
def test_gigabytes_of_output_are_cut(body):
    called, output = call(body)
    assert called.value == 2 and len(output) <= 20_000


def test_a_stub_is_not_attempted_and_a_missing_function_is_told():
    with pytest.raises(NotAttempted, match="not attempted"):
        call("raise NotImplementedError('Exercise 1.1: test')")
    with Learner(source("return 1"), "1.1", QUICK) as learner, pytest.raises(
        NotAttempted, match="no function g"
    ):
        learner.call("g", [1], {})
    with pytest.raises(Crashed, match="NotImplementedError"):
        call("raise NotImplementedError('later')")


def test_a_crash_names_the_learners_line_and_not_a_library_s():
    with pytest.raises(Crashed) as crash:
        call("y = x\nreturn np.linalg.inv(np.zeros((2, 3)))")
    assert crash.value.type == "LinAlgError"
    assert crash.value.line == 8 and crash.value.code == "return np.linalg.inv(np.zeros((2, 3)))"


def test_a_syntax_error_names_its_line():
    text = "import numpy as np\n\n# %% Exercise 1.1: test\ndef f(x):\n    return (x\n"
    with Learner(Source("a.py", text), "1.1", QUICK) as learner, pytest.raises(Crashed) as crash:
        learner.call("f", [1], {})
    assert crash.value.type == "SyntaxError" and crash.value.line in (5, 6)


def test_sys_exit_is_explained():
    with pytest.raises(Crashed, match=r"SystemExit.*return a value instead"):
        call("import sys\nsys.exit(0)")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import os\nos._exit(0)", "exit status 0"),
        ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
        ("import os\nos.abort()", "SIGABRT"),
        ("import os\nos.closerange(0, 4096)\nreturn 1", "Python itself needs"),
    ],
)
def test_whoever_ends_python_is_told_so(body, words):
    with pytest.raises(Crashed, match=words):
        call(body)


@linux
def test_an_endless_loop_ends_by_processor_time_and_a_sleep_by_the_clock():
    with pytest.raises(TookTooLong, match="1 seconds of computing"):
        call("while True: pass", limits=Limits(1, 30.0))
    with pytest.raises(TookTooLong, match="1 seconds of computing"):  # also against a handler
        call(
            "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
            limits=Limits(1, 30.0),
        )
    began = time.monotonic()
    with pytest.raises(TookTooLong, match=r"after 0\.5 seconds"):
        call("import time\ntime.sleep(60)", limits=Limits(1, 0.5))
    assert time.monotonic() - began < 10


@linux
@pytest.mark.parametrize(
    "body", ["return bytearray(10**10)", "import torch\nreturn torch.ones(10**10)",
             "a = []\nwhile True: a.append(np.ones(10**7))"]
)
def test_ten_gigabytes_are_refused(body):
    with pytest.raises(Crashed, match="more memory than the grader gives"):
        call(body, limits=Limits(5, 20.0, 2**29))


@linux
@pytest.mark.parametrize(
    "body",
    [
        "import os\nwhile True: os.fork()",
        "import subprocess\nsubprocess.run(['ls'])",
        "import multiprocessing as m\np = m.Process(target=print)\np.start()",
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
        "import os, signal\nos.killpg(os.getpgid(os.getppid()), signal.SIGKILL)",
        "import os\nos.execv('/bin/true', ['true'])",
    ],
)
def test_no_new_processes_and_no_signals_to_others(body):
    with pytest.raises(Crashed, match=r"PermissionError|Operation not permitted"):
        call(body)
    assert call("return 5")[0].value == 5  # the fork server lives


@linux
def test_files_outside_its_own_folder_stay_as_they_are(tmp_path):
    result = tmp_path / "results.json"
    result.write_text("mine")
    with pytest.raises(Crashed, match="PermissionError"):
        call(f"open({str(result)!r}, 'w').write('forged')")
    with pytest.raises(Crashed, match="PermissionError"):
        call(f"import os\nos.remove({str(result)!r})")
    assert result.read_text() == "mine"
    kept = "open('own.txt', 'w').write('abc')\nreturn open('own.txt').read()"
    assert call(kept)[0].value == "abc"
    with pytest.raises(Crashed, match="File too large"):
        call("open('own.txt', 'wb').write(bytes(10**8))")


@linux
@pytest.mark.parametrize(
    "attack",
    [
        "os.truncate({victim!r}, 0)",
        "os.chmod({victim!r}, 0)",
        "os.chown({victim!r}, 1234, 1234)",
        "os.utime({victim!r}, (0, 0))",
        "os.setxattr({victim!r}, 'user.a', b'b')",
        "os.rename({victim!r}, 'mine')",
        "os.link({victim!r}, 'mine')",
        "os.mknod('disk', 0o60600, os.makedev(8, 0))",
        "os.mkfifo('pipe')",
        "socket.socket()",
        "socket.socketpair()[0].connect('x')",
        "fcntl.fcntl(os.open('own', os.O_CREAT | os.O_RDWR), fcntl.F_SETOWN, os.getppid())",
        "fcntl.fcntl(os.open('own', os.O_CREAT | os.O_RDWR), 10, 9)",
        "os.sched_setaffinity(os.getppid(), [0])",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
        "os.memfd_create('hidden')",
        "os.pidfd_open(os.getppid())",
    ],
)
def test_others_files_and_processes_are_out_of_reach(attack, tmp_path):
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    before = victim.stat()
    with pytest.raises(Crashed, match=r"PermissionError|OSError"):
        call(f"import fcntl, os, socket\n{attack.format(victim=str(victim))}")
    assert victim.stat() == before  # first, as reading it moves the time of its last reading
    assert victim.read_text() == "mine"


@linux
def test_every_system_call_on_the_list_is_refused():
    column = list(sandbox._ARCHITECTURE).index(platform.machine())
    numbers = [each[column] for each in sandbox._DENIED.values() if each[column] is not None]
    body = f"""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        found = []
        for number in {numbers}:
            ctypes.set_errno(0)
            found.append((libc.syscall(number, 0, 0, 0, 0, 0, 0), ctypes.get_errno()))
        return found
    """
    assert call(body)[0].value == [(-1, errno.EPERM)] * len(numbers)


@linux
def test_shared_memory_does_not_outlive_a_learner():
    body = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        return libc.shmget(0, 10**8, 0o1600)
    """
    assert call(body)[0].value == -1


@linux
def test_root_has_no_powers_left():
    read = "return [line for line in open('/proc/self/status') if line.startswith('CapEff')][0]"
    assert int(call(read)[0].value.split()[1], 16) == 0


def test_a_message_that_would_swell_is_refused():
    with pytest.raises(Crashed, match="too large"):
        call("return [[[] for _ in range(90_000)] for _ in range(3)]", limits=Limits(10, 40.0))


@linux
def test_folders_in_folders_are_removed_too():
    body = """
        import os
        here = os.getcwd()
        for _ in range(3000):
            os.mkdir("d")
            os.chdir("d")
        return here
    """
    assert not Path(call(body, limits=Limits(5, 30.0))[0].value).exists()


def test_a_process_that_was_killed_at_once_did_not_take_too_long():
    with pytest.raises(Crashed, match="SIGKILL"):
        call("import os\nos.kill(os.getpid(), 9)", limits=Limits(5, 20.0))


def test_its_folder_is_removed_and_its_limits_do_not_grow():
    folder = call("import os\nreturn os.getcwd()")[0].value
    assert not Path(folder).exists() and Path(folder) != Path.cwd()
    with pytest.raises(Crashed, match=r"ValueError|PermissionError"):
        call("import resource as r\nr.setrlimit(r.RLIMIT_CPU, (10**6, 10**6))")


def test_what_one_does_to_torch_or_to_the_seed_the_next_does_not_see():
    spoiled = """
        import random, torch
        torch.sigmoid = torch.Tensor.sum = lambda *a, **k: 42
        torch.manual_seed(0); np.random.seed(0); random.seed(0)
        return 1
    """
    assert call(spoiled)[0].value == 1
    with pytest.raises(Crashed, match="Python itself needs"):
        call("import builtins\nbuiltins.isinstance = lambda *a: True\nreturn 1")
    assert call("import torch\nreturn float(torch.sigmoid(torch.zeros(1)))")[0].value == 0.5
    draw = "import torch\nreturn [float(torch.rand(1)), float(np.random.rand())]"
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    call(draw)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_pickles_and_forged_answers_are_only_data(tmp_path):
    """A child that writes to the grader's line itself spoils its own result, nothing else."""
    class_with_reduce = f"""
        class Bomb:
            def __reduce__(self):
                import os
                return os.system, ("touch {tmp_path}/owned",)
        return Bomb()
    """
    assert isinstance(call(class_with_reduce)[0].value, Other)
    garbage = """
        import os, stat
        for number in range(3, 64):
            try:
                if stat.S_ISSOCK(os.fstat(number).st_mode):
                    os.write(number, b'\\xff' * 64)
            except OSError:
                pass
        return 1
    """
    with pytest.raises(Crashed, match="disturbed the line"):
        call(garbage)
    assert not (tmp_path / "owned").exists()


def test_a_result_that_is_too_large_is_told():
    with pytest.raises(Crashed, match="too large"):
        call("return np.zeros(2 * 10**7)", limits=Limits(5, 20.0))


def test_gradients_come_back_where_they_flow():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    called, _ = call("return (x ** 2).sum()", x, gradients=True)
    assert torch.equal(called.gradients[0], torch.tensor([2.0, 4.0]))
    assert call("return x.detach().sum()", x, gradients=True)[0].gradients is None
    assert call("return float(x.sum())", x, gradients=True)[0].gradients is None


def test_a_slip_in_another_exercise_costs_nothing_and_a_needed_one_is_run():
    text = (
        "import numpy as np\n\n# %% Exercise 1.1: a\ndef helper(x):\n    return x + 1\n\n"
        "# %% Exercise 1.2: b\ndef f(x):\n    return helper(x)\n\n"
        "# %% Exercise 1.3: c\nwhile True: pass\n\n# %% Exercise 1.4: d\ndef g(: nothing\n"
    )
    with Learner(Source("lesson_01.py", text), "1.2", QUICK) as learner:
        assert learner.call("f", [1], {}).value == 2


def test_without_marks_the_file_is_one_exercise():
    with Learner(Source("a.py", "def f(x):\n    return x * 2\n"), "1.1", QUICK) as learner:
        assert learner.call("f", [4], {}).value == 8


def test_a_long_file_is_run_and_shown_to_its_end():
    """The code was once cut after 10,000 characters: a right answer had no end, and no `return`."""
    remarks = "    # one of many remarks\n" * 1000
    text = f"# %% Exercise 1.1: test\ndef f(x):\n{remarks}    return 1 / x\n"
    with Learner(Source("a.py", text), "1.1", QUICK) as learner:
        assert learner.call("f", [4], {}).value == 0.25
        with pytest.raises(Crashed) as crash:
            learner.call("f", [0], {})
    assert crash.value.line == 1003 and crash.value.code == "return 1 / x"


def test_a_fork_server_that_was_ended_is_replaced():
    assert call("return 1")[0].value == 1
    launch._server()._process.kill()
    launch._server()._process.wait()
    assert call("return 2")[0].value == 2


def test_children_do_not_outlive_their_grader():
    learner = Learner(source("import os\nreturn os.getpid()"), "1.1", QUICK)
    pid = learner.call("f", [1], {}).value
    learner.end()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_where_processes_cannot_fork_the_answers_are_the_same(monkeypatch):
    monkeypatch.setattr(launch.sys, "platform", "elsewhere")
    called, output = call("print('hi')\nreturn x + 1", 4, Limits(5, 30.0))
    assert called.value == 5 and output == "hi\n"
    with pytest.raises(TookTooLong):
        call("import time\ntime.sleep(60)", limits=Limits(5, 1.0))
    with pytest.raises(Crashed, match="exit status 3"):
        call("import os\nos._exit(3)")


@pytest.mark.parametrize("message", [
    "{'kind': np.array([1, 2])}", "{'kind': 5}", "{}",
    "{'kind': 'result', 'value': 1.0, 'after': [], 'gradients': 5}",
    "{'kind': 'result', 'value': 1.0, 'after': [], 'gradients': []}",
    "{'kind': 'result', 'value': 1.0, 'after': [], 'gradients': ['x']}",
    "{'kind': 'result', 'value': 1.0, 'after': [], 'gradients': [torch.zeros(7)]}",
])
def test_forged_answers_of_another_form_are_a_crash_and_no_error_of_the_grader(message):
    body = f"""
        import gc, torch
        send = next(each for each in gc.get_objects() if type(each).__name__ == "_Sender")
        send({message})
    """
    with pytest.raises(Crashed, match="disturbed the line"):
        call(body, torch.ones(2, requires_grad=True), gradients=True)


@pytest.mark.parametrize("code", [
    "import torch\ntorch.optim.Adam([])", "from torch import optim", "import torch.optim as o",
    "from torch.optim import SGD",
])
def test_a_use_of_optimisers_is_seen_beforehand_because_they_load_slowly(code):
    assert _imports([code]) == ["torch", "torch.optim"]
    assert "torch.optim" in launch.KNOWN
    assert _imports(["import torch\nglobal x", "from scipy import stats", "def ("]) == [
        "scipy", "torch"
    ]
