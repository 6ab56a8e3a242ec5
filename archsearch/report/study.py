"""Runs, the variants they are replicates of, and the studies that variants can be compared in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import sqrt
from pathlib import Path

from archsearch.compose.labels import describe
from archsearch.data.info import DatasetInfo, holdout_size
from archsearch.errors import ConfigError
from archsearch.report.class_names import is_custom, with_class_names
from archsearch.report.statistics import deviation
from archsearch.runs.data_file import recorded_dataset
from archsearch.system.terminal import printable

Fetch = Callable[[str], Path | None]  # a file of the run, by name; None if the run has no such file
Curve = Sequence[tuple[int, float]]  # epochs, and accuracies in percent

TRIAL = "trial"  # the number by which finalists of a search are named, as their networks differ in many settings
# Names for a configuration; not settings that affect its results.
_NAMES = (TRIAL, "model")
_ORDER = "model.blocks"  # the names of the blocks, in order
# The reference network's standard deviation between seeds on MNIST, in points, for this many images; it applies to
# other networks from this accuracy on.
_REFERENCE_SPREAD, _REFERENCE_IMAGES, _REFERENCE_LEVEL = 0.06, 10_000, 99.0


@dataclass(frozen=True)
class StudyRun:
    """One run. Accuracies are in percent, `epoch_seconds` is training time; None if the run has no such value."""

    run_id: str
    name: str
    state: str
    started: str
    seed: int
    settings: Mapping[str, str]  # flattened, without the seed
    data: str
    fingerprint: str
    params: int | None = None
    macs: int | None = None
    validation: float | None = None  # final epoch
    best: float | None = None  # validation accuracy of the best epoch
    test: float | None = None  # final epoch
    epoch_seconds: float | None = None
    fetch: Fetch = field(default=lambda _: None, compare=False, repr=False)
    history: Callable[[], Curve] = field(default=lambda: (), compare=False, repr=False)
    link: Callable[[], str | None] = field(default=lambda: None, compare=False, repr=False)  # its page in MLflow's UI
    command: str | None = None  # that trains it again

    @property
    def comparison_key(self) -> tuple[str, ...]:
        """What runs must share for their accuracies to be comparable: the images, and which of them are held out."""
        held_out = [self.settings.get(f"data.{name}", "-") for name in ("validation", "split_seed")]
        return (self.data, self.fingerprint, *held_out, "validation" if self.validation is not None else "test")


@dataclass(frozen=True)
class Variant:
    """A configuration and its runs by seed. `values` holds the settings in which the study's variants differ."""

    label: str
    values: Mapping[str, str]
    runs: Mapping[int, StudyRun]
    failed: int = 0  # seeds that failed; the others may be the lucky ones

    @property
    def any(self) -> StudyRun:
        """One of the runs, for values that all of them share."""
        return next(iter(self.runs.values()))

    def scores(self, name: str = "selecting") -> dict[int, float]:
        """Values by seed: a numeric field of `StudyRun`, or `selecting`, the accuracy that variants are ranked by."""
        if name == "selecting":
            name = "validation" if self.any.validation is not None else "test"
        values = {seed: getattr(run, name) for seed, run in self.runs.items()}
        return {seed: value for seed, value in values.items() if value is not None}

    def mean(self, name: str = "selecting") -> float | None:
        """The mean of `scores` over seeds."""
        scores = self.scores(name)
        return sum(scores.values()) / len(scores) if scores else None


@dataclass(frozen=True)
class Study:
    """Variants trained on the same images and selected on the same images, best first."""

    variants: Sequence[Variant]
    factors: Sequence[str]  # the smallest set of settings that distinguishes the variants
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by factor: numbers sorted, words by first use
    confounded: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by factor: settings that change with it
    repeats: int = 0  # runs left out because a later run has the same configuration and seed
    distinction: str = ""  # what separates it from other studies of the same data set

    @property
    def on_test(self) -> bool:
        """Whether variants are ranked on the test set because no images were held out."""
        return self.variants[0].any.validation is None

    @cached_property
    def info(self) -> DatasetInfo | None:
        """The data set; None if archsearch does not know it."""
        run = self.variants[0].any
        info = recorded_dataset(run.data, run.fetch)
        if info is None:
            return None
        return replace(info, title=printable(info.title), classes=tuple(map(printable, info.classes)))

    @property
    def title(self) -> str:
        """The data set's title, with what separates the study from others of the same data set."""
        title = self.info.title if self.info is not None else self.variants[0].any.data
        return f"{title} ({self.distinction})" if self.distinction else title

    @property
    def judged_on(self) -> str:
        """The split that variants are ranked on: `validation` or `test`."""
        return "test" if self.on_test else "validation"

    @property
    def pairs(self) -> int:
        """The number of pairs of variants."""
        return len(self.variants) * (len(self.variants) - 1) // 2

    @cached_property
    def dof(self) -> int:
        """The degrees of freedom of `spread`."""
        return sum(len(variant.scores()) - 1 for variant in self.variants)

    @cached_property
    def spread(self) -> float | None:
        """The standard deviation between seeds, pooled over the variants, in points; None if there is no spread."""
        groups = [list(variant.scores().values()) for variant in self.variants]
        squares = sum(deviation(group) ** 2 * (len(group) - 1) for group in groups if len(group) > 1)
        return sqrt(squares / self.dof) if squares else None

    @cached_property
    def borrowed_spread(self) -> float | None:
        """The reference network's standard deviation, if the study has its data and at least its accuracy level."""
        same_images = self.variants[0].any.data == "mnist" and self.images(self.judged_on) == _REFERENCE_IMAGES
        lowest = min(min(variant.scores().values()) for variant in self.variants)
        return _REFERENCE_SPREAD if same_images and lowest >= _REFERENCE_LEVEL else None

    def images(self, split: str) -> int | None:
        """The number of images in the `validation` or `test` split; None if unknown."""
        if self.info is None:
            return None
        if split == "test":
            return self.info.test_images
        size = self.variants[0].any.settings.get("data.validation")
        try:
            return holdout_size(self.info, None if size is None else int(size)) or None
        except (ValueError, ConfigError):
            return None


def studies_of(runs: Sequence[StudyRun]) -> list[Study]:
    """Group `runs` into studies, largest first. Runs without a result only count as failed seeds."""
    groups: dict[tuple[str, ...], list[StudyRun]] = {}
    unfinished = [run for run in runs if not has_result(run)]
    for run in runs:
        if has_result(run):
            groups.setdefault(run.comparison_key, []).append(run)
    studies = [_study(group, unfinished) for group in groups.values()]
    return sorted(studies, key=lambda study: -sum(len(variant.runs) for variant in study.variants))


def distinguishing(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """The fewest settings that distinguish all `settings`, chosen greedily: names first, then types."""
    order = list(dict.fromkeys(key for mapping in settings for key in mapping))
    order.sort(key=lambda key: (key != TRIAL, key not in _NAMES, not key.endswith(".type"), key == _ORDER))
    factors: list[str] = []
    cells = [0] * len(settings)
    for key in order:
        finer: dict[tuple[int, str | None], int] = {}
        split = [
            finer.setdefault((cell, mapping.get(key)), len(finer))
            for cell, mapping in zip(cells, settings, strict=True)
        ]
        if len(set(split)) > len(set(cells)):
            factors.append(key)
            cells = split
    return factors


def confounded_with(factors: Sequence[str], settings: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """By factor, the other settings that it determines: their effects cannot be separated.

    Settings that depend on a factor by definition (a model's blocks, the settings of a type) are not listed.
    """
    confounded: dict[str, list[str]] = {factor: [] for factor in factors}
    for key in dict.fromkeys(key for mapping in settings for key in mapping):
        if key in factors or key in _NAMES or key == _ORDER or len({mapping.get(key) for mapping in settings}) == 1:
            continue
        for factor in factors:
            pairs = {(mapping.get(factor), mapping.get(key)) for mapping in settings}
            if len(pairs) == len({value for value, _ in pairs}):
                depends = factor in _NAMES or key.startswith(factor.removesuffix(".type") + ".")
                if not depends:
                    confounded[factor].append(key)
                break
    return confounded


def ordered(values: Sequence[str]) -> list[str]:
    """The distinct values: sorted if all are numbers, otherwise in order of first use."""
    try:
        return sorted(dict.fromkeys(values), key=float)
    except ValueError:
        return list(dict.fromkeys(values))


def plain_number(text: str) -> str:
    """A canonical spelling of numbers: `0.0` and `0`, `1e-3` and `0.001` are the same setting."""
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text


def has_result(run: StudyRun) -> bool:
    """Whether the run has finished with an accuracy to compare."""
    return run.state == "FINISHED" and (run.validation is not None or run.test is not None)


def _key(run: StudyRun) -> tuple[object, ...]:
    """What runs of one variant share: the settings and, as a safeguard, the size of the network."""
    settings = sorted((key, value) for key, value in run.settings.items() if key not in _NAMES)
    return (*settings, run.params, run.macs)


def _study(runs: Sequence[StudyRun], unfinished: Sequence[StudyRun]) -> Study:
    groups: dict[tuple[object, ...], dict[int, StudyRun]] = {}
    for run in sorted(runs, key=lambda run: run.started):
        groups.setdefault(_key(run), {})[run.seed] = run  # the latest replaces earlier repeats
    kept = sum(map(len, groups.values()))
    settings = with_class_names([next(iter(group.values())).settings for group in groups.values()])
    factors = distinguishing(settings)
    failures = [(_key(run)[:-2], run.seed, run.data) for run in unfinished if run.state == "FAILED"]
    variants: list[Variant] = []
    for (key, group), mapping in zip(groups.items(), settings, strict=True):
        values = {name: mapping.get(name, "-") for name in factors}
        first = next(iter(group.values()))
        failed = {seed for other, seed, data in failures if other == key[:-2] and data == first.data} - set(group)
        label = describe(values) or mapping.get("model") or first.name
        if is_custom(first.settings):
            label = label.removeprefix("model=")
        if any(label == variant.label for variant in variants):  # equal settings, but another network
            label = f"{label} ({first.params} parameters, {len(variants)})"
        variants.append(Variant(label, values, {seed: group[seed] for seed in sorted(group)}, len(failed)))
    variants.sort(key=lambda variant: -(variant.mean() or 0.0))
    values_of = {name: ordered([mapping.get(name, "-") for mapping in settings]) for name in factors}
    return Study(variants, factors, values_of, confounded_with(factors, settings), len(runs) - kept)
