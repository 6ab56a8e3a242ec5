"""Finds the variant of a study that a name refers to."""

from collections.abc import Sequence

from archsearch.compose.labels import labels
from archsearch.errors import ReportError, did_you_mean
from archsearch.report.study import Study, Variant, plain_number

_SHORTEST_ID = 6  # characters of a run id


def find_variant(study: Study, name: str, setting: str) -> Variant:
    """The variant that `name` refers to: `#2`, a label, values unique to it (`gap`, `head.type=gap`), a run
    id, or a part of its label.

    Raises `ReportError` with the name of the `setting`.
    """
    if name.startswith("#") and name[1:].isdecimal():
        number = int(name[1:])
        if not 1 <= number <= len(study.variants):
            raise ReportError(f"{setting}: got {name}, must be a row of the leaderboard, #1 to #{len(study.variants)}")
        return study.variants[number - 1]
    matches = [variant for variant in study.variants if variant.label == name]
    if not matches:
        matches = [variant for variant in study.variants if _fits(variant, name.split(), study.factors)]
    if not matches and len(name) >= _SHORTEST_ID:
        matches = [
            variant for variant in study.variants if any(run.run_id.startswith(name) for run in variant.runs.values())
        ]
    if not matches:
        matches = [variant for variant in study.variants if name in variant.label]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ReportError(
            f"{setting}: got {name}, must match one variant, matches {len(matches)}:"
            f" {_listed([variant.label for variant in matches])}"
        )
    if any(word.partition("=")[0] == "seed" for word in name.split()):
        raise ReportError(
            f"{setting}: got {name}, must not name a seed: variants are compared over all of their seeds,"
            " because the better of two seeds is chance"
        )
    known_labels = [variant.label for variant in study.variants]
    raise ReportError(
        f"{setting}: got {name}, must be one of {_listed(known_labels)}{did_you_mean(name, known_labels)}"
    )


def _fits(variant: Variant, words: Sequence[str], factors: Sequence[str]) -> bool:
    """Whether each word is a `setting=value` or a value of the variant."""
    return bool(words) and all(_has(variant, word, factors) for word in words)


def _has(variant: Variant, word: str, factors: Sequence[str]) -> bool:
    name, equals, value = word.rpartition("=")
    value = plain_number(value)
    return any(
        variant.values[full] == value and (not equals or name in (short, full))
        for short, full in zip(labels(factors), factors, strict=True)
    )


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
