"""Check of lesson 06's atomic save (6.6): a simulated computer that is switched off at any moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hybridlab.grading import verdict as kinds
from hybridlab.grading.comparing import Wrong
from hybridlab.grading.trial import Trial

_NAME = "save_steps"
_ARGUMENTS = {"write": 1, "flush": 1, "rename": 2, "remove": 1}
OLD, NEW, TORN = "the old content", "the new content", "half of the new content"
Operation = tuple[str, ...]


@dataclass
class _File:
    """What a program sees of a file, and what a crash leaves of it."""

    seen: str
    durable: str


@dataclass
class Disk:
    """Files by their names; names change at once, contents when they are flushed."""

    target: str
    files: dict[str, _File] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.files[self.target] = _File(OLD, OLD)

    def carry_out(self, operation: Operation) -> None:
        """One operation.

        Raises:
            FileNotFoundError: a file that is not there is flushed, renamed or removed.
        """
        kind, name = operation[0], operation[1]
        if kind == "write":
            self.files[name] = _File(NEW, TORN)
            return
        if name not in self.files:
            raise FileNotFoundError(name)
        if kind == "flush":
            self.files[name].durable = self.files[name].seen
        elif kind == "rename":
            self.files[operation[2]] = self.files.pop(name)
        else:
            del self.files[name]

    def after_a_crash(self) -> str:
        """What the target holds when the computer is on again; "" if it is gone."""
        return self.files[self.target].durable if self.target in self.files else ""


def check_save_steps(trial: Trial) -> None:
    """The operations, each of which may be the last one."""
    with trial.part("operations that the computer knows"):
        _operations(trial.call(_NAME, "notes.json"))
    with trial.part("all of them carried out"):
        target = f"run-{int(trial.rng.integers(10, 99))}.json"
        disk = _ran(target, _operations(trial.call(_NAME, target)))
        held = disk.files.get(target)
        if held is None or held.seen != NEW:
            raise Wrong(kinds.WRONG_VALUE,
                        f"when all is done, {target} " + ("is gone" if held is None else
                                                          f"holds {held.seen}"),
                        "The new content must end up under the name of the target: rename the file "
                        "that you wrote.")
        if others := sorted(set(disk.files) - {target}):
            raise Wrong(kinds.WRONG_VALUE, f"when all is done, {', '.join(others)} is left behind",
                        "A rename leaves nothing behind; remove what else you made.")
    with trial.part("switched off at any moment"):
        target = f"step-{int(trial.rng.integers(100, 999))}.safetensors"
        operations = _operations(trial.call(_NAME, target))
        disk = Disk(target)
        for at, operation in enumerate(operations):
            _carried_out(disk, operation, at)
            found = disk.after_a_crash()
            if found in (OLD, NEW):
                continue
            shown = f"{operation[0]} {' -> '.join(operation[1:])}"
            left = f"{target} is gone" if not found else f"{target} holds {found}"
            raise Wrong(kinds.WRONG_VALUE,
                        f"switched off after operation {at + 1}, {shown}: {left}",
                        _advice(operations, at, target))
        if disk.after_a_crash() != NEW:
            raise Wrong(kinds.WRONG_VALUE,
                        f"switched off after the last operation: {target} holds the old content",
                        "Who was told that it is saved relies on it: flush what you wrote, and "
                        "rename it.")


def _advice(operations: Sequence[Operation], at: int, target: str) -> str:
    kind, name = operations[at][0], operations[at][1]
    if kind == "write" and name == target:
        return ("Writing empties the file first. Write under another name in the same folder, and "
                "rename it when it is whole.")
    if kind == "remove" and name == target:
        return ("Between the removal and the rename there is no file. A rename takes the old one's "
                "place by itself, in one step.")
    if kind == "rename" and name == target:
        return ("You moved the old file away first: until the new one has its name, there is none. "
                "A rename onto it takes its place in one step.")
    if kind == "rename":
        return ("The rename reached the disk before the content did: what was written lies in the "
                "computer's memory until it is flushed. Flush before you rename.")
    return "Work on another file, and touch the target in one step at the end."


def _ran(target: str, operations: Sequence[Operation]) -> Disk:
    disk = Disk(target)
    for at, operation in enumerate(operations):
        _carried_out(disk, operation, at)
    return disk


def _carried_out(disk: Disk, operation: Operation, at: int) -> None:
    try:
        disk.carry_out(operation)
    except FileNotFoundError as error:
        raise Wrong(kinds.WRONG_VALUE, f"operation {at + 1}, {operation[0]}: there is no file "
                    f"{error}", "Look at the names: a file is there once it was written, until it "
                    "is renamed or removed.") from None


def _operations(got: object) -> list[Operation]:
    """The learner's list, with what is not an operation refused."""
    if not isinstance(got, list | tuple) or not got:
        raise Wrong(kinds.WRONG_FORM, f"got {got!r:.100}, expected a list of operations",
                    'Such as [("write", name), ("flush", name)].')
    found = []
    for at, each in enumerate(got, start=1):
        fits = isinstance(each, list | tuple) and all(isinstance(word, str) for word in each)
        if not fits or not each or len(each) - 1 != _ARGUMENTS.get(each[0], -1):
            raise Wrong(kinds.WRONG_FORM, f"operation {at} is {each!r:.80}, expected one of "
                        "('write', name), ('flush', name), ('rename', name, other), ('remove', "
                        "name)")
        found.append(tuple(each))
    return found
