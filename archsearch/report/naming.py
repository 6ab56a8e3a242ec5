"""Which variant of a study a person means."""

from collections.abc import Sequence

from archsearch.compose.labels import labels
from archsearch.errors import ReportError, did_you_mean
from archsearch.report.study import Study, Variant, plain_number

_SHORTEST_ID = 6  # letters of a run's id


def find_variant(study: Study, name: str, setting: str) -> Variant:
    """The variant that `name` means: `#2`, a label, values that only one has (`gap`, `head.type=gap`), or a run's id.

    Raises `ReportError`, which names the `setting`.
    """
    if name.startswith("#") and name[1:].isdecimal():
        number = int(name[1:])
        if not 1 <= number <= len(study.variants):
            raise ReportError(f"{setting}={name}: the leaderboard has rows #1 to #{len(study.variants)}")
        return study.variants[number - 1]
    exact = [variant for variant in study.variants if variant.label == name]
    found = exact or [variant for variant in study.variants if _fits(variant, name.split(), study.factors)]
    if not found and len(name) >= _SHORTEST_ID:
        found = [it for it in study.variants if any(trial.run_id.startswith(name) for trial in it.trials.values())]
    if len(found) == 1:
        return found[0]
    known = [variant.label for variant in study.variants]
    if found:
        raise ReportError(f"{setting}={name}: {len(found)} variants are called so: {_some([it.label for it in found])}")
    if any(word.partition("=")[0] == "seed" for word in name.split()):
        raise ReportError(
            f"{setting}={name}: seeds are not compared: the better one of two seeds is luck."
            " A variant is all of its seeds"
        )
    raise ReportError(f"{setting}={name}: no variant is called so{did_you_mean(name, known)}; there are {_some(known)}")


def _fits(variant: Variant, words: Sequence[str], factors: Sequence[str]) -> bool:
    """Whether each word is `setting=value` or a value of the variant's."""
    return bool(words) and all(_has(variant, word, factors) for word in words)


def _has(variant: Variant, word: str, factors: Sequence[str]) -> bool:
    name, equals, value = word.rpartition("=")
    wanted = plain_number(value)
    for short, full in zip(labels(factors), factors, strict=True):
        if variant.values[full] == wanted and (not equals or name in (short, full)):
            return True
    return False


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
