"""Limits on a learner's process. Linux only; elsewhere the grader has its time limit alone.

This keeps mistakes and pranks away from the grader and from the next exercise. It is not a full
sandbox: the code runs as the same user and can read what that user can read.

- setrlimit: processor time, memory, size of files, open files.
- seccomp: no new processes, no signals to others, no looking into others' memory, no sockets, no
  shared memory that outlives the process, no changes to files' owners, modes and times, no new
  limits. It holds for root too, for whom the limit on processes does not.
- Landlock: files can be written in the process's own folder only.
- Root's capabilities are dropped.

Where the kernel lacks seccomp or Landlock, the others hold; `confine` says which do.
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

# seccomp: system calls by number, x86-64 and ARM64; those from 424 up have one number on both
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CALLS = {
    "clone": (56, 220), "clone3": (435, 435), "kill": (62, 129), "tgkill": (234, 131),
    "prlimit64": (302, 261), "fcntl": (72, 25), "ioctl": (16, 29),
}
_DENIED = {
    # other processes
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "setsid": (112, 157), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kcmp": (312, 272), "setpriority": (141, 140),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "ioprio_set": (251, 30),
    "setrlimit": (160, 164), "setns": (308, 268), "unshare": (272, 97),
    # the network, and what outlives the process
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190),
    "mq_open": (240, 180), "memfd_create": (319, 279), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219),
    # files that Landlock does not look after: owners, modes, times, lengths by name
    "truncate": (76, 45), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53),
    "fchmodat2": (452, 452), "chown": (92, None), "fchown": (93, 55), "lchown": (94, None),
    "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "setxattrat": (463, 463),
    "removexattrat": (466, 466), "file_setattr": (469, 469), "mknod": (133, None),
    "mknodat": (259, 33),
    # the machine
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "acct": (163, 89), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "swapon": (167, 224),
    "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161),
    "setdomainname": (171, 162), "iopl": (172, None), "ioperm": (173, None),
    "init_module": (175, 105), "delete_module": (176, 106), "finit_module": (313, 273),
    "quotactl": (179, 60), "kexec_load": (246, 104), "perf_event_open": (298, 241),
    "bpf": (321, 280), "userfaultfd": (323, 282),
    # a second way to most of these
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}
_SET_OWNER = (8, 10, 15)  # of fcntl: F_SETOWN, F_SETSIG, F_SETOWN_EX: signals by a detour
_SET_OWNER_IOCTL = (0x8901, 0x8902)  # FIOSETOWN, SIOCSPGRP
_LOAD, _EQUAL, _SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16  # offsets in seccomp_data; an argument's lower half
_THREAD = 0x00010000  # CLONE_THREAD
_NO_NEW_PRIVILEGES, _SECCOMP, _DEATH_SIGNAL = 38, 22, 1
# Landlock: bits of its rights, and the version that brought them
_WRITE, _REMOVE_FOLDER, _REMOVE, _MAKE_FOLDER, _MAKE = 1 << 1, 1 << 4, 1 << 5, 1 << 7, 1 << 8
_EVERY_WRITE = 0b1_1111_1111_0010  # write, and remove or make anything; not execute and read
_MOVE, _TRUNCATE, _DEVICE_IOCTL = (1 << 13, 2), (1 << 14, 3), (1 << 15, 5)
_OWN = _WRITE | _REMOVE_FOLDER | _REMOVE | _MAKE_FOLDER | _MAKE
_TCP, _SCOPES = (0b11, 4), (0b11, 6)  # bind and connect; abstract sockets and signals
_RULESET, _RULE, _RESTRICT = 444, 445, 446
_DROP_BOUNDING = 24


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
    _drop_capabilities(libc)
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


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    for capability in range(64):
        libc.prctl(_DROP_BOUNDING, capability, 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0), 8)
    libc.capset(header, ctypes.create_string_buffer(24))


def _filter() -> bytes | None:
    machine = platform.machine()
    if machine not in _ARCHITECTURE:
        return None
    column = list(_ARCHITECTURE).index(machine)
    calls = {name: numbers[column] for name, numbers in _CALLS.items()}
    denied, allowed = _statement(_RETURN, _ERROR | errno.EPERM), _statement(_RETURN, _ALLOW)
    steps = [
        # numbers mean other calls in 32-bit mode
        _statement(_LOAD, _ARCH), _jump(_EQUAL, _ARCHITECTURE[machine], 1, 0),
        _statement(_RETURN, _KILL), _statement(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":  # and in x32 mode, where a high bit is set
        steps += [_jump(_SET, 0x40000000, 0, 1), _statement(_RETURN, _KILL)]
    for numbers in _DENIED.values():
        if (number := numbers[column]) is not None:
            steps += [_jump(_EQUAL, number, 0, 1), denied]
    # its flags lie behind a pointer: the C library then falls back on clone
    steps += [_jump(_EQUAL, calls["clone3"], 0, 1), _statement(_RETURN, _ERROR | errno.ENOSYS)]

    def asked(name: str, argument: int, *tests: bytes) -> list[bytes]:
        """For one call: look at an argument, then the tests; each ends or falls through."""
        body = [_statement(_LOAD, _ARGUMENT + 8 * argument), *tests]
        return [_jump(_EQUAL, calls[name], 0, len(body)), *body]

    # threads, yes; processes, no
    steps += asked("clone", 0, _jump(_SET, _THREAD, 1, 0), denied, allowed)
    for name in ("kill", "tgkill"):  # to itself, as abort() does
        steps += asked(name, 0, _jump(_EQUAL, os.getpid(), 1, 0), denied, allowed)
    for name, commands in (("fcntl", _SET_OWNER), ("ioctl", _SET_OWNER_IOCTL)):
        tests = [part for each in commands for part in (_jump(_EQUAL, each, 0, 1), denied)]
        steps += asked(name, 1, *tests, allowed)
    # limits may be read (no new ones given), not set
    steps += asked("prlimit64", 2, _jump(_EQUAL, 0, 1, 0), denied, *_upper_half_is_zero(2))
    steps.append(allowed)
    return b"".join(steps)


def _upper_half_is_zero(argument: int) -> list[bytes]:
    """Allow the call if the upper half of an argument is 0, too; a pointer's lower half may be."""
    return [
        _statement(_LOAD, _ARGUMENT + 8 * argument + 4), _jump(_EQUAL, 0, 1, 0),
        _statement(_RETURN, _ERROR | errno.EPERM), _statement(_RETURN, _ALLOW),
    ]


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
    version = libc.syscall(_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False

    def known(right: tuple[int, int]) -> int:
        return right[0] if version >= right[1] else 0

    handled = _EVERY_WRITE | known(_MOVE) | known(_TRUNCATE) | known(_DEVICE_IOCTL)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attribute = ctypes.create_string_buffer(
        struct.pack("QQQ", handled, known(_TCP), known(_SCOPES))[:size], size
    )
    ruleset = libc.syscall(_RULESET, attribute, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        for place in (folder, Path(os.devnull)):
            rights = (_OWN if place.is_dir() else _WRITE) | known(_TRUNCATE)
            opened = os.open(place, os.O_PATH | os.O_CLOEXEC)  # type: ignore[attr-defined]
            rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, opened), 12)
            added = libc.syscall(_RULE, ruleset, 1, rule, 0)
            os.close(opened)
            if added != 0:
                return False
        return libc.syscall(_RESTRICT, ruleset, 0) == 0
    finally:
        os.close(ruleset)
