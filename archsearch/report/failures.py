"""Configurations of which no seed finished: no study has a variant for them."""

from collections.abc import Sequence

from archsearch.compose.labels import describe
from archsearch.report.class_names import with_class_names
from archsearch.report.study import StudyRun, distinguishing, has_result

_MOST_NAMES = 5


def failure_notes(runs: Sequence[StudyRun]) -> list[str]:
    """A note with the variants all of whose seeds failed."""
    with_results = {_key(run) for run in runs if has_result(run)}
    failed: dict[tuple[str, ...], list[StudyRun]] = {}
    for run in runs:
        if run.state == "FAILED" and not has_result(run) and _key(run) not in with_results:
            failed.setdefault(_key(run), []).append(run)
    if not failed:
        return []
    settings = with_class_names([run.settings for run in runs])
    factors = distinguishing(settings)
    by_run = dict(zip((id(run) for run in runs), settings, strict=True))
    names = [
        describe({name: by_run[id(group[0])].get(name, "-") for name in factors}) or group[0].name
        for group in failed.values()
    ]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return [f"every seed failed of {', '.join(names[:_MOST_NAMES])}{more}"]


def _key(run: StudyRun) -> tuple[str, ...]:
    settings = sorted(f"{key}={value}" for key, value in run.settings.items() if key != "model")
    return (run.data, *settings)
