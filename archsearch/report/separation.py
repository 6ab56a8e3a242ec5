"""What separates studies of one data set, whose accuracies look comparable and are not."""

from collections.abc import Sequence
from dataclasses import replace

from archsearch.report.study import Study

# The parts of `StudyRun.comparison_key` after the data set: a name of the value, and what it means that it differs.
_PARTS = (
    ("images", "their images differ"),
    ("data.validation", "different numbers of images are held out (data.validation)"),
    ("data.split_seed", "different images are held out (data.split_seed)"),
    ("ranked on", "only some hold images out; the others are ranked on the test set"),
)


def separated(studies: Sequence[Study]) -> tuple[list[Study], list[str]]:
    """The studies, those of one data set with what separates them, and a note for each such data set."""
    groups: dict[str, list[Study]] = {}
    for study in studies:
        groups.setdefault(study.variants[0].any.data, []).append(study)
    notes = []
    for group in groups.values():
        reasons = [reason for place, (_, reason) in enumerate(_PARTS) if _differ(group, place)]
        if reasons:
            notes.append(f"the {len(group)} studies of {group[0].title} are not comparable: {'; '.join(reasons)}")
    return [_named(study, groups[study.variants[0].any.data]) for study in studies], notes


def _named(study: Study, group: Sequence[Study]) -> Study:
    parts = [
        f"{name}{'=' if name.startswith('data.') else ' '}{_value(study, place)}"
        for place, (name, _) in enumerate(_PARTS)
        if _differ(group, place)
    ]
    return replace(study, distinction=", ".join(parts))


def _differ(group: Sequence[Study], place: int) -> bool:
    return len({_value(study, place) for study in group}) > 1


def _value(study: Study, place: int) -> str:
    value = study.variants[0].any.comparison_key[place + 1]
    return "default" if value == "-" else value
