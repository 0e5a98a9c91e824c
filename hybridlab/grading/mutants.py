"""Small wrong changes of a solution (mutants): what a check must notice.

Each mutant is the code with one change that a slip of the hand could make: another comparison,
another operator, a constant off by one, a forgotten keyword, factor, index or statement, a sum
for a mean. Annotations and docstrings are left out.
"""

from __future__ import annotations

import ast
import copy
import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

_COMPARE: dict[type, tuple[type, ...]] = {
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}
_OPERATOR: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd,
}
_ORDERED = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)
_RENAMED: dict[str, tuple[str, ...]] = {
    "mean": ("sum",), "sum": ("mean",), "max": ("min",), "min": ("max",),
    "amax": ("amin",), "amin": ("amax",), "maximum": ("minimum",), "minimum": ("maximum",),
    "any": ("all",), "all": ("any",), "argmax": ("argmin",), "argmin": ("argmax",),
    "zeros": ("ones",), "ones": ("zeros",), "zeros_like": ("ones_like",),
    "ones_like": ("zeros_like",), "cumsum": ("cumprod",), "cumprod": ("cumsum",),
    "sigmoid": ("exp", "tanh"), "logsigmoid": ("sigmoid", "softplus"), "softplus": ("relu",),
    "softmax": ("log_softmax",), "log_softmax": ("softmax",), "log1p": ("log",), "log": ("log1p",),
    "exp": ("expm1",), "expm1": ("exp",), "floor": ("ceil",), "ceil": ("floor",),
    "std": ("var",), "var": ("std",), "sort": ("argsort",), "argsort": ("sort",),
    "square": ("abs",), "sqrt": ("square",), "full": ("full_like",), "hstack": ("vstack",),
}
# calls that a careless hand leaves out: their first argument, or what they belong to, stays
_LEFT_OUT = frozenset((
    "abs", "clip", "clamp", "maximum", "minimum", "max", "min", "astype", "exp", "log", "sqrt",
    "sigmoid", "softmax", "mean", "sum", "any", "normalize", "detach", "eval", "float", "double",
    "nan_to_num", "flip", "reversed", "sorted", "cumsum", "unsqueeze", "squeeze", "transpose",
))
_SYMMETRIC = frozenset(("maximum", "minimum", "max", "min", "logaddexp", "allclose", "hypot"))
_STATEMENTS = (
    ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.If, ast.For, ast.With, ast.Return,
)

Change = Callable[[ast.AST], ast.AST]


@dataclass(frozen=True)
class Mutant:
    """A changed solution.

    Attributes:
        name: "FUNCTION: line -> changed line", the same every time.
        code: all of it.
    """

    name: str
    code: str


def mutants(code: str) -> list[Mutant]:
    """All mutants of the functions in a piece of code, each once.

    Raises:
        SyntaxError: it is no Python.
    """
    tree = _bare(ast.parse(code))
    original = ast.unparse(tree)
    found: dict[str, Mutant] = {}
    for at, node in enumerate(ast.walk(tree)):
        for change in _changes(node, tree):
            text = _changed(tree, at, change)
            if text != original and text not in found:
                found[text] = Mutant(_name(original, text), text)
    return list(found.values())


def _bare(tree: ast.Module) -> ast.Module:
    """Without docstrings and annotations: what they say is not computed."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
            if isinstance(node, ast.FunctionDef):
                node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    return tree


def _changed(tree: ast.Module, at: int, change: Change) -> str:
    changed = copy.deepcopy(tree)
    target = list(ast.walk(changed))[at]
    new = change(target)
    for parent in ast.walk(changed):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, new)
            elif isinstance(value, list):
                value[:] = [new if each is target else each for each in value]
    return ast.unparse(ast.fix_missing_locations(changed))


def _name(original: str, changed: str) -> str:
    """Which function, and its lines before and after."""
    before, after = original.splitlines(), changed.splitlines()
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    parts = [part for part in matcher.get_opcodes() if part[0] != "equal"]
    above = [line for line in before[: parts[0][1] + 1] if line.startswith("def ")]
    function = above[-1].split("(")[0].removeprefix("def ") if above else ""
    old = "; ".join(line.strip() for _, a, b, _, _ in parts for line in before[a:b])
    new = "; ".join(line.strip() for _, _, _, a, b in parts for line in after[a:b])
    return f"{function}: {old} -> {new or '(nothing)'}"


def _changes(node: ast.AST, tree: ast.Module) -> Iterator[Change]:
    if isinstance(node, _STATEMENTS):
        yield lambda _: ast.Pass()
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in _COMPARE[type(operator)]:
                yield _item("ops", place, other())
    elif isinstance(node, (ast.BinOp, ast.AugAssign)):
        yield from _of_operator(node)
    elif isinstance(node, ast.BoolOp):
        yield _set("op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
        for place in range(len(node.values)):
            yield _taken(lambda each, place=place: each.values[place])
    elif isinstance(node, ast.UnaryOp):
        yield _taken(lambda each: each.operand)
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node.value)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Attribute):
        yield from (_set("attr", other) for other in _RENAMED.get(node.attr, ()))
        if node.attr in ("T", "mT"):
            yield _taken(lambda each: each.value)
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield _taken(lambda each: each.value)
    elif isinstance(node, ast.Slice):
        for name in ("lower", "upper", "step"):
            yield from _of_bound(name, getattr(node, name))
    elif isinstance(node, (ast.If, ast.IfExp)):
        yield _set("test", ast.UnaryOp(ast.Not(), node.test))
        yield from (_set("test", ast.Constant(value)) for value in (True, False))
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield _set("ifs", [])
    elif isinstance(node, (ast.Break, ast.Continue)):
        yield lambda each: ast.Continue() if isinstance(each, ast.Break) else ast.Break()
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield from (_set("id", other) for other in _RENAMED.get(node.id, ()))
        yield from (_set("id", other) for other in _parameters_beside(node, tree))


def _of_operator(node: ast.BinOp | ast.AugAssign) -> Iterator[Change]:
    if type(node.op) in _OPERATOR:
        yield _set("op", _OPERATOR[type(node.op)]())
    if isinstance(node, ast.BinOp):
        yield _taken(lambda each: each.left)
        yield _taken(lambda each: each.right)
        if isinstance(node.op, _ORDERED):
            yield lambda each: ast.BinOp(each.right, each.op, each.left)  # type: ignore[attr-defined]
    else:
        yield lambda each: ast.Assign([each.target], each.value)  # type: ignore[attr-defined]


def _of_constant(value: object) -> Iterator[Change]:
    if isinstance(value, bool):
        yield _set("value", not value)
    elif isinstance(value, int):
        yield from (_set("value", other) for other in (value + 1, value - 1))
    elif isinstance(value, float):
        yield from (_set("value", other) for other in (value * 2, value + 1) if other != value)


def _of_call(node: ast.Call) -> Iterator[Change]:
    for place in range(len(node.keywords)):
        yield partial(_without, place)
    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if len(node.args) == 2 and called not in _SYMMETRIC:
        yield _set("args", node.args[::-1])
    if isinstance(node.func, ast.Name) and called in _LEFT_OUT - {"float"} and node.args:
        yield _taken(lambda each: each.args[0])
    elif isinstance(node.func, ast.Attribute) and node.func.attr in _LEFT_OUT:
        # of np.maximum(x, 1) the argument stays, of x.clamp(min=0) what it belongs to
        module = isinstance(node.func.value, ast.Name) and node.func.value.id in (
            "np", "torch", "F", "math"
        )
        if module and node.args:
            yield _taken(lambda each: each.args[0])
        elif not module:
            yield _taken(lambda each: each.func.value)


def _of_bound(name: str, bound: ast.expr | None) -> Iterator[Change]:
    if bound is None:
        return
    yield _set(name, None)
    if name != "step" and not isinstance(bound, ast.Constant):
        for operator in (ast.Add(), ast.Sub()):
            yield _set(name, ast.BinOp(bound, operator, ast.Constant(1)))


def _parameters_beside(node: ast.Name, tree: ast.Module) -> list[str]:
    """The other parameters of the function, where a parameter is read."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and any(each is node for each in
                                                         ast.walk(function)):
            names = [arg.arg for arg in (*function.args.args, *function.args.kwonlyargs)]
            return [name for name in names if name not in (node.id, "self")] * (node.id in names)
    return []


def _set(name: str, value: object) -> Change:
    def change(node: ast.AST) -> ast.AST:
        setattr(node, name, copy.deepcopy(value))
        return node

    return change


def _item(name: str, place: int, value: ast.AST) -> Change:
    def change(node: ast.AST) -> ast.AST:
        getattr(node, name)[place] = value
        return node

    return change


def _taken(part: Callable[..., ast.AST]) -> Change:
    return lambda node: part(node)


def _without(place: int, call: ast.AST) -> ast.AST:
    del call.keywords[place]  # type: ignore[attr-defined]
    return call
