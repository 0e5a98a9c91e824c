"""What a study is: one recipe, named variants of it, seeds, and a hypothesis for each variant."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from hybridlab.ablation.errors import StudyFileError
from hybridlab.ablation.runs import RunSpec, canonical, plain_json
from hybridlab.ablation.study_file import STUDY_FILE, function_name, import_module, load_file
from hybridlab.evaluation.named import named_metric

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class PlannedRun(NamedTuple):
    """A run of a study: which variant and seed it stands for, and what is to be run."""

    variant: str
    seed: int
    spec: RunSpec

    @property
    def key(self) -> str:
        """The name of the run's folder."""
        return self.spec.key


@dataclass(frozen=True)
class Study:
    """A question, and the runs that shall answer it.

    Attributes:
        name: also the name of the folder: letters, digits, ".", "_" and "-".
        question: what the study asks, one sentence.
        run: `run(config, seed, store) -> RunResult`, as "package.module:function" or the function
            itself, which may stand in the study file. Kept as text.
        recipe: the configuration that all variants share, plain JSON values.
        variants: name -> what it changes in the recipe. The variant that changes nothing is {}.
        seeds: each variant is run with each.
        reference: the variant that the others are compared with.
        metrics: which metrics tables and tests are about, by their names in
            `hybridlab.evaluation.named`, such as "cf1@3"; the first leads. They are computed from
            the predictions that every run keeps, so others may be asked for once it is run.
        hypotheses: variant -> what is expected of it, one sentence, written before it is run.
        factors: factor -> its levels, where the variants are their combinations.
        file: the study file that `run` stands in, if it does.
        source: what `load_study` was given: a module's dotted name, or a file's without its folder.

    Raises:
        ValueError: what was given does not make a study; the message says what to change.
    """

    name: str
    question: str
    run: str | Callable[..., Any]
    recipe: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]]
    seeds: Sequence[int]
    reference: str
    metrics: Sequence[str] = ("mean_ap", "cf1", "of1")
    hypotheses: Mapping[str, str] = field(default_factory=dict)
    factors: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    file: Path | None = field(default=None, compare=False)
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        keep = object.__setattr__
        function, file = function_name(self.run)
        keep(self, "run", function)
        keep(self, "file", self.file or file)
        keep(self, "recipe", plain_json(self.recipe, "recipe"))
        keep(self, "variants", plain_json(self.variants, "variants"))
        keep(self, "factors", plain_json(self.factors, "factors"))
        keep(self, "seeds", tuple(self.seeds))
        keep(self, "metrics", tuple(self.metrics))
        keep(self, "hypotheses", dict(self.hypotheses))
        _check_names(self)
        _check_variants(self)
        _check_seeds(tuple(self.seeds))

    @classmethod
    def factorial(
        cls,
        name: str,
        question: str,
        run: str | Callable[..., Any],
        recipe: Mapping[str, Any],
        factors: Mapping[str, Sequence[Any]],
        seeds: Sequence[int],
        reference: str | Mapping[str, Any] | None = None,
        **others: Any,
    ) -> Study:
        """A study of all combinations of the factors' levels.

        Args:
            factors: key of the recipe -> its levels, at least two factors' worth of combinations.
            reference: the name of a combination, or its levels; the recipe's own value (or the
                first level) for each factor that it does not name.
            others: `metrics` and `hypotheses`, as for `Study`.

        Raises:
            ValueError: a factor without levels, with a level twice, or that is no key of the
                recipe; and as `Study`.
        """
        levels = {factor: list(values) for factor, values in factors.items()}
        if not levels:
            raise ValueError("factors is empty; give one or more, such as {'fusion': ['a', 'b']}")
        for factor, values in levels.items():
            words = [level_name(value) for value in values]
            if not values or len(set(words)) < len(words):
                raise ValueError(f"factors[{factor!r}] is {values}; give levels, each once")
        if reference is None or isinstance(reference, Mapping):
            chosen = dict(reference or {})
            for factor, values in levels.items():
                own = recipe.get(factor)
                chosen.setdefault(factor, own if own in values else values[0])
            reference = combination_name({factor: chosen.pop(factor) for factor in levels})
            if chosen:
                raise ValueError(
                    f"reference names {_listed(chosen)}, which is no factor; "
                    f"the factors are {_listed(levels)}"
                )
        combinations = [dict(zip(levels, each, strict=True)) for each in product(*levels.values())]
        variants = {combination_name(each): each for each in combinations}
        return cls(
            name, question, run, recipe, variants, seeds, reference, factors=levels, **others
        )

    def config(self, variant: str) -> dict[str, Any]:
        """The whole configuration of a variant.

        Raises:
            ValueError: no such variant.
        """
        if variant not in self.variants:
            raise ValueError(
                f"there is no variant {variant!r}; the study has {_listed(self.variants)}"
            )
        return {**self.recipe, **self.variants[variant]}

    def runs(self) -> list[PlannedRun]:
        """Every run of the study: seed by seed, so that early runs already compare variants."""
        return [
            PlannedRun(name, seed, RunSpec(str(self.run), self.config(name), seed))
            for seed in self.seeds
            for name in self.variants
        ]

    def with_seeds(self, seeds: Sequence[int]) -> Study:
        """The same study with other seeds."""
        return replace(self, seeds=tuple(seeds))

    def definition(self) -> dict[str, Any]:
        """The study as plain JSON, without the place of its file."""
        return {
            "name": self.name,
            "question": self.question,
            "run": self.run,
            "recipe": dict(self.recipe),
            "variants": {name: dict(given) for name, given in self.variants.items()},
            "seeds": list(self.seeds),
            "reference": self.reference,
            "metrics": list(self.metrics),
            "hypotheses": dict(self.hypotheses),
            "factors": {factor: list(levels) for factor, levels in self.factors.items()},
            "source": self.source,
        }


def load_study(source: str | os.PathLike[str]) -> Study:
    """The `STUDY` of a study file, or of a module by its dotted name.

    Args:
        source: a path that ends in .py, or a name such as "hybridlab.studies.fusion".

    Raises:
        StudyFileError: there is no such file, it raises, or it has no module-level STUDY.
    """
    text = os.fspath(source)
    if not text.endswith(".py") and re.fullmatch(r"[A-Za-z_][\w.]*", text):
        module, path = import_module(text), None
    else:
        path = Path(text).expanduser().resolve()
        if not path.is_file():
            raise StudyFileError(
                f"there is no study file {text}; give the path of a .py file that defines STUDY"
            )
        module = load_file(path)
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        found = "has no STUDY" if study is None else f"has a STUDY that is a {type(study).__name__}"
        raise StudyFileError(f"{text} {found}; write STUDY = Study(...) at its top level")
    needs_file = path is not None and str(study.run).startswith(STUDY_FILE)
    return replace(
        study, file=path if needs_file else study.file, source=path.name if path else text
    )


def level_name(value: Any) -> str:
    """A level as it stands in a variant's name: text as it is, all else as JSON has it."""
    return value if isinstance(value, str) else canonical(plain_json(value, "level"))


def combination_name(levels: Mapping[str, Any]) -> str:
    """The name of one combination: "fusion=gate, lr=0.001"."""
    return ", ".join(f"{factor}={level_name(value)}" for factor, value in levels.items())


def _check_names(study: Study) -> None:
    if not isinstance(study.name, str) or not _SAFE.fullmatch(study.name):
        raise ValueError(
            f"name is {study.name!r}; it names a folder: use 1 to 80 letters, digits, '.', '_' "
            "and '-', beginning with a letter or digit"
        )
    if not isinstance(study.question, str) or not study.question.strip():
        raise ValueError("question is empty; say in one sentence what the study asks")
    if not study.metrics:
        raise ValueError("metrics is empty; give one or more, such as ('mean_ap', 'cf1', 'of1')")
    for metric in study.metrics:
        named_metric(metric)
    for name, sentence in study.hypotheses.items():
        if name not in study.variants:
            raise ValueError(
                f"hypotheses is about {name!r}, which is no variant{_did_you(name, study.variants)}"
            )
        if not isinstance(sentence, str):
            raise ValueError(f"hypotheses[{name!r}] is {sentence!r}; give a sentence")


def _check_variants(study: Study) -> None:
    if not study.variants:
        raise ValueError("variants is empty; give at least one, such as {'plain': {}}")
    same: dict[str, str] = {}
    for name, changes in study.variants.items():
        if not name.strip() or not name.isprintable() or len(name) > 200:
            raise ValueError(f"a variant is named {name!r}; use 1 to 200 printable characters")
        if not isinstance(changes, dict):
            raise ValueError(f"variants[{name!r}] is {changes!r}; give a dict of changes, or {{}}")
        for key in changes:
            if key not in study.recipe:
                # A key that nobody reads would make a variant that is equal to the reference.
                raise ValueError(
                    f"variants[{name!r}] sets {key!r}, which is not in the recipe"
                    f"{_did_you(key, study.recipe)}; put its usual value into the recipe"
                )
        twin = same.setdefault(canonical(study.config(name)), name)
        if twin != name:
            raise ValueError(
                f"the variants {twin!r} and {name!r} have the same configuration; drop one"
            )
    if study.reference not in study.variants:
        raise ValueError(
            f"reference is {study.reference!r}, which is no variant"
            f"{_did_you(study.reference, study.variants)}; "
            f"the variants are {_listed(study.variants)}"
        )


def _check_seeds(seeds: tuple[int, ...]) -> None:
    if not seeds:
        raise ValueError("seeds is empty; give some, such as (0, 1, 2, 3, 4)")
    for seed in seeds:
        if type(seed) is not int or seed < 0:
            raise ValueError(f"seeds holds {seed!r}; give whole numbers from 0 up")
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise ValueError(f"seeds holds {_listed(twice)} twice; give each seed once")


def _did_you(given: object, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(str(given), known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names)
