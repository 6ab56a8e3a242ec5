"""What a report compares: runs as trials, trials of one configuration as a variant, variants on the same data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import sqrt
from pathlib import Path

from archsearch.compose.labels import describe
from archsearch.data.info import DATASETS, DatasetInfo, holdout_size
from archsearch.errors import ConfigError
from archsearch.report.statistics import deviation

Fetch = Callable[[str], Path | None]  # a file of the run, by its name; None where the run has no such file

# Names of a variant rather than settings that decide its results.
_NAMES = ("model",)
_ORDER = "model.blocks"  # the blocks' names, in their order
# Between seeds of the reference's network on so many images of MNIST, in points, and the accuracy from which that may
# be expected of others.
_REFERENCE_SPREAD, _REFERENCE_IMAGES, _LIKE_IT = 0.06, 10_000, 99.0


@dataclass(frozen=True)
class StudyRun:
    """One run. Accuracies in percent, `epoch_seconds` of training; None for what the run does not have."""

    run_id: str
    name: str
    state: str
    started: str
    seed: int
    settings: Mapping[str, str]  # all that a person chose but the seed, flattened
    data: str
    fingerprint: str
    params: int | None = None
    macs: int | None = None
    validation: float | None = None  # of the final epoch
    best: float | None = None  # validation accuracy of the best epoch
    test: float | None = None  # of the final epoch's network
    epoch_seconds: float | None = None
    fetch: Fetch = field(default=lambda _: None, compare=False, repr=False)

    @property
    def comparison_key(self) -> tuple[str, ...]:
        """What two trials must share for their accuracies to be compared: the images, and which are held out."""
        held_out = [self.settings.get(f"data.{name}", "-") for name in ("validation", "split_seed")]
        return (self.data, self.fingerprint, *held_out, "validation" if self.validation is not None else "test")


@dataclass(frozen=True)
class Variant:
    """A configuration: its trials by seed. `values` are of the settings by which the study's variants differ."""

    label: str
    values: Mapping[str, str]
    trials: Mapping[int, StudyRun]
    failed: int = 0  # trials that failed, so the others may be the lucky ones

    @property
    def any(self) -> StudyRun:
        """One of the trials, for what is the same in all of them."""
        return next(iter(self.trials.values()))

    def scores(self, name: str = "selecting") -> dict[int, float]:
        """By seed: `selecting` is what variants are ranked on, otherwise a number of `StudyRun`."""
        if name == "selecting":
            name = "validation" if self.any.validation is not None else "test"
        found = {seed: getattr(trial, name) for seed, trial in self.trials.items()}
        return {seed: score for seed, score in found.items() if score is not None}

    def mean(self, name: str = "selecting") -> float | None:
        """The mean over seeds."""
        scores = self.scores(name)
        return sum(scores.values()) / len(scores) if scores else None


@dataclass(frozen=True)
class Study:
    """Variants that were trained on the same images and chosen on the same ones, the best first."""

    variants: Sequence[Variant]
    factors: Sequence[str]  # the fewest settings that tell them apart
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)  # of the factors: numbers by size, words by age
    confounded: Mapping[str, Sequence[str]] = field(default_factory=dict)  # of factors: settings that change with them
    repeats: int = 0  # trials left out because they repeat another's configuration and seed

    @property
    def on_test(self) -> bool:
        """Whether nothing was held out, so that the test set is all there is to choose on."""
        return self.variants[0].any.validation is None

    @property
    def info(self) -> DatasetInfo | None:
        """The data set, where archsearch knows it."""
        return DATASETS.get(self.variants[0].any.data)

    @property
    def judged_on(self) -> str:
        """`validation` or `test`."""
        return "test" if self.on_test else "validation"

    @property
    def pairs(self) -> int:
        """How many comparisons all variants against all are."""
        return len(self.variants) * (len(self.variants) - 1) // 2

    @cached_property
    def dof(self) -> int:
        """The degrees of freedom of `spread`."""
        return sum(len(variant.scores()) - 1 for variant in self.variants)

    @cached_property
    def spread(self) -> float | None:
        """The standard deviation between seeds, pooled over the variants, in points; None where no seeds differ."""
        groups = [list(variant.scores().values()) for variant in self.variants]
        squares = sum(deviation(group) ** 2 * (len(group) - 1) for group in groups if len(group) > 1)
        return sqrt(squares / self.dof) if squares else None

    @cached_property
    def borrowed_spread(self) -> float | None:
        """That of the reference's network, for accuracies like its own on as many of the same images."""
        alike = self.variants[0].any.data == "mnist" and self.images(self.judged_on) == _REFERENCE_IMAGES
        lowest = min(min(variant.scores().values()) for variant in self.variants)
        return _REFERENCE_SPREAD if alike and lowest >= _LIKE_IT else None

    def images(self, split: str) -> int | None:
        """How many images `validation` or `test` has; None where that is unknown."""
        if self.info is None:
            return None
        if split == "test":
            return self.info.test_images
        said = self.variants[0].any.settings.get("data.validation")
        try:
            return holdout_size(self.info, None if said is None else int(said)) or None
        except (ValueError, ConfigError):
            return None


def studies_of(trials: Sequence[StudyRun]) -> list[Study]:
    """Sort `trials` into studies, the largest first. Trials that did not finish only count as failed."""
    benches: dict[tuple[str, ...], list[StudyRun]] = {}
    unfinished = [trial for trial in trials if not has_result(trial)]
    for trial in trials:
        if has_result(trial):
            benches.setdefault(trial.comparison_key, []).append(trial)
    found = [_study(members, unfinished) for members in benches.values()]
    return sorted(found, key=lambda study: -sum(len(variant.trials) for variant in study.variants))


def distinguishing(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """The fewest settings, in their order, that tell all of `settings` apart: names of models, then types, first."""
    order = list(dict.fromkeys(key for each in settings for key in each))
    order.sort(key=lambda key: (key not in _NAMES, not key.endswith(".type"), key == _ORDER))
    found: list[str] = []
    cells = dict.fromkeys(range(len(settings)), 0)
    for key in order:
        finer: dict[tuple[int, str | None], int] = {}
        split = {at: finer.setdefault((cells[at], each.get(key)), len(finer)) for at, each in enumerate(settings)}
        if len(set(split.values())) > len(set(cells.values())):
            found.append(key)
            cells = split
    return found


def confounded_with(factors: Sequence[str], settings: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """By factor, the settings that vary and are no factors because that one decides them: their effects are one.

    What belongs to a factor by its nature (a model's blocks, a type's own settings) is not named.
    """
    found: dict[str, list[str]] = {factor: [] for factor in factors}
    for key in dict.fromkeys(key for each in settings for key in each):
        if key in factors or key in _NAMES or key == _ORDER or len({each.get(key) for each in settings}) == 1:
            continue
        for factor in factors:
            pairs = {(each.get(factor), each.get(key)) for each in settings}
            if len(pairs) == len({value for value, _ in pairs}):
                belongs = factor in _NAMES or key.startswith(factor.removesuffix(".type") + ".")
                if not belongs:
                    found[factor].append(key)
                break
    return found


def ordered(values: Sequence[str]) -> list[str]:
    """Numbers by size; if there is a word among them, as they are."""
    try:
        return sorted(dict.fromkeys(values), key=float)
    except ValueError:
        return list(dict.fromkeys(values))


def plain_number(text: str) -> str:
    """`0.0` and `0`, `1e-3` and `0.001` are the same setting."""
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text


def has_result(trial: StudyRun) -> bool:
    """Whether the run has finished, with accuracies that can be compared."""
    return trial.state == "FINISHED" and (trial.validation is not None or trial.test is not None)


def _key(trial: StudyRun) -> tuple[object, ...]:
    """What makes two trials the same variant: the settings, and, to be sure, the network's size."""
    settings = sorted((key, value) for key, value in trial.settings.items() if key not in _NAMES)
    return (*settings, trial.params, trial.macs)


def _study(trials: Sequence[StudyRun], unfinished: Sequence[StudyRun]) -> Study:
    groups: dict[tuple[object, ...], dict[int, StudyRun]] = {}
    for trial in sorted(trials, key=lambda trial: trial.started):
        groups.setdefault(_key(trial), {})[trial.seed] = trial  # of repeats, the latest
    kept = sum(map(len, groups.values()))
    first = [next(iter(group.values())).settings for group in groups.values()]
    factors = distinguishing(first)
    without = [(_key(trial)[:-2], trial.seed, trial.data) for trial in unfinished if trial.state == "FAILED"]
    variants: list[Variant] = []
    for (key, group), settings in zip(groups.items(), first, strict=True):
        values = {name: settings.get(name, "-") for name in factors}
        trial = next(iter(group.values()))
        failed = {seed for other, seed, data in without if other == key[:-2] and data == trial.data} - set(group)
        by_seed = {seed: group[seed] for seed in sorted(group)}
        label = describe(values) or trial.settings.get("model") or trial.name
        if any(label == variant.label for variant in variants):  # they differ in what is no setting
            label = f"{label} ({trial.params} parameters, {len(variants)})"
        variants.append(Variant(label, values, by_seed, len(failed)))
    variants.sort(key=lambda variant: -(variant.mean() or 0.0))
    values_of = {name: ordered([each.get(name, "-") for each in first]) for name in factors}
    return Study(variants, factors, values_of, confounded_with(factors, first), len(trials) - kept)
