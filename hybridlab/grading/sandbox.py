"""Limits on a learner's process. Linux only; elsewhere the grader has its time limit alone.

This keeps mistakes and pranks away from the grader and from the next exercise. It is not a full
sandbox: the code runs as the same user and can read what that user can read.

- setrlimit: processor time, memory, size of files, open files.
- seccomp: no new processes, no signals to others, no looking into others' memory, no new limits.
  It holds for root too, for whom the limit on processes does not.
- Landlock: files can be written in the process's own folder only.

Where the kernel lacks one of the last two, the others hold; `confine` says which do.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import platform
import signal
import struct
import sys
import time
from pathlib import Path

# seccomp: system calls by number, x86-64 and ARM64
_CALLS = {
    "x86_64": {"arch": 0xC000003E, "clone": 56, "clone3": 435, "fork": 57, "vfork": 58,
               "kill": 62, "tkill": 200, "tgkill": 234, "ptrace": 101, "setrlimit": 160,
               "prlimit64": 302, "vm_write": 311, "queueinfo": 129, "pidfd_signal": 424,
               "setsid": 112, "execve": 59, "execveat": 322},
    "aarch64": {"arch": 0xC00000B7, "clone": 220, "clone3": 435, "kill": 129, "tkill": 130,
                "tgkill": 131, "ptrace": 117, "setrlimit": 164, "prlimit64": 261, "vm_write": 271,
                "queueinfo": 138, "pidfd_signal": 424, "setsid": 157, "execve": 221,
                "execveat": 281},
}
_DENIED = ("fork", "vfork", "tkill", "ptrace", "setrlimit", "vm_write", "queueinfo",
           "pidfd_signal", "setsid", "execve", "execveat")
_LOAD, _EQUAL, _SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16  # offsets in seccomp_data; an argument's lower half
_THREAD = 0x00010000  # CLONE_THREAD
_NO_NEW_PRIVILEGES, _SECCOMP, _DEATH_SIGNAL = 38, 22, 1
# Landlock, version 1: everything that changes files
_WRITES = 0b1_1111_1111_0010  # write, and remove or make anything; not execute and read
_RULESET, _RULE, _RESTRICT = 444, 445, 446


def confine(folder: Path, cpu_seconds: int, memory: int) -> list[str]:
    """Put limits on this process, for good.

    Args:
        folder: the only place in which files can be written.
        cpu_seconds: of processor time; then SIGXCPU, and a second later SIGKILL.
        memory: bytes on top of what the process has now.

    Returns:
        the limits that hold: "rlimit", "seccomp", "landlock".
    """
    if not sys.platform.startswith("linux"):
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)  # nobody waits for it any more
    held = ["rlimit"]
    _limit(cpu_seconds, memory)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0:
        if _landlock(libc, folder):
            held.append("landlock")
        if _seccomp(libc):
            held.append("seccomp")
    if "seccomp" not in held:
        _limit_processes()
    return held


def _limit(cpu_seconds: int, memory: int) -> None:
    import resource

    now = _sizes()
    for which, value in (
        (resource.RLIMIT_CPU, math.floor(time.process_time() + 0.9) + cpu_seconds),
        (resource.RLIMIT_DATA, now["VmData"] + memory),
        (resource.RLIMIT_AS, now["VmSize"] + 2 * memory),  # shared memory counts here only
        (resource.RLIMIT_FSIZE, 16 * 2**20),
        (resource.RLIMIT_NOFILE, 128),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(which)
        hard = value + 1 if which == resource.RLIMIT_CPU else value
        if most != resource.RLIM_INFINITY:
            value, hard = min(value, most), min(hard, most)
        resource.setrlimit(which, (value, hard))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # too large a file is an OSError


def _limit_processes() -> None:
    """Second best: the user's processes of now and a few more. Root is not bound by it."""
    import resource

    mine = sum(
        1 for entry in os.scandir("/proc")
        if entry.name.isdigit() and _owner(entry) == os.getuid()
    )
    with_threads = 4 * mine + 64
    resource.setrlimit(resource.RLIMIT_NPROC, (with_threads, with_threads))


def _owner(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_uid
    except OSError:
        return -1


def _sizes() -> dict[str, int]:
    """VmData and VmSize in bytes."""
    found = {"VmData": 0, "VmSize": 0}
    with open("/proc/self/status") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in found:
                found[name] = int(value.split()[0]) * 1024
    return found


def _statement(code: int, value: int) -> bytes:
    return struct.pack("HBBI", code, 0, 0, value)


def _jump(code: int, value: int, yes: int, no: int) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def _filter() -> bytes | None:
    calls = _CALLS.get(platform.machine())
    if calls is None:
        return None
    denied = _statement(_RETURN, _ERROR | errno.EPERM)
    steps = [
        # numbers mean other calls in 32-bit mode
        _statement(_LOAD, _ARCH), _jump(_EQUAL, calls["arch"], 1, 0), _statement(_RETURN, _KILL),
        _statement(_LOAD, _NUMBER),
    ]
    if platform.machine() == "x86_64":  # and in x32 mode, where a high bit is set
        steps += [_jump(_SET, 0x40000000, 0, 1), _statement(_RETURN, _KILL)]
    for name in _DENIED:
        if name in calls:
            steps += [_jump(_EQUAL, calls[name], 0, 1), denied]
    # its flags lie behind a pointer: the C library then falls back on clone
    steps += [_jump(_EQUAL, calls["clone3"], 0, 1), _statement(_RETURN, _ERROR | errno.ENOSYS)]
    steps += [  # threads, yes; processes, no
        _jump(_EQUAL, calls["clone"], 0, 4), _statement(_LOAD, _ARGUMENT),
        _jump(_SET, _THREAD, 1, 0), denied, _statement(_RETURN, _ALLOW),
    ]
    for name in ("kill", "tgkill"):  # to itself, as abort() does
        steps += [
            _jump(_EQUAL, calls[name], 0, 4), _statement(_LOAD, _ARGUMENT),
            _jump(_EQUAL, os.getpid(), 1, 0), denied, _statement(_RETURN, _ALLOW),
        ]
    steps += [  # limits may be read (no new ones given), not set
        _jump(_EQUAL, calls["prlimit64"], 0, 4), _statement(_LOAD, _ARGUMENT + 16),
        _jump(_EQUAL, 0, 1, 0), denied, _statement(_RETURN, _ALLOW),
    ]
    steps.append(_statement(_RETURN, _ALLOW))
    return b"".join(steps)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _seccomp(libc: ctypes.CDLL) -> bool:
    code = _filter()
    if code is None:
        return False
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    return libc.prctl(_SECCOMP, 2, ctypes.byref(program), 0, 0) == 0


def _landlock(libc: ctypes.CDLL, folder: Path) -> bool:
    libc.syscall.restype = ctypes.c_long
    attribute = ctypes.create_string_buffer(struct.pack("Q", _WRITES), 8)
    ruleset = libc.syscall(_RULESET, attribute, ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return False
    try:
        for place in (folder, Path("/dev/null")):
            allowed = _WRITES if place.is_dir() else 0b10
            opened = os.open(place, os.O_PATH | os.O_CLOEXEC)  # type: ignore[attr-defined]
            rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, opened), 12)
            added = libc.syscall(_RULE, ruleset, 1, rule, 0)
            os.close(opened)
            if added != 0:
                return False
        return libc.syscall(_RESTRICT, ruleset, 0) == 0
    finally:
        os.close(ruleset)
