"""What a search began with, kept in its study: one that goes on with other settings would compare what differs."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archsearch.config.augment import present_name
from archsearch.config.schema import format_value
from archsearch.errors import ResumeError

if TYPE_CHECKING:
    import optuna

_ATTRIBUTE = "configuration"
_LISTED = 3  # differences in the error
# Where things are, how they run, and when the search ends.
_CHANGEABLE = (
    "data.root", "trainer.eval_batch_size", "tracking", "ui", "sweep", "sweep_run", "resume", "overwrite",
    "search.budget", "search.finalists", "search.finalist_seeds", "search.engine",
    "search.join", "search.storage", "search.lease",
)  # fmt: skip


def check_begun(study: "optuna.Study", config: Mapping[str, Any]) -> None:
    """Note in a new study that its trials have the configuration `config`, or compare it with that of a begun one.

    Raises `ResumeError`, which names what differs.
    """
    now = {path: value for path, value in _flat(config, "") if not _may_change(path)}
    begun = study.user_attrs.get(_ATTRIBUTE)
    if begun is None:
        study.set_user_attr(_ATTRIBUTE, now)
        return
    if "augment.type" in begun:  # from before transforms could be combined
        others = {present_name(path): value for path, value in begun.items() if path != "augment.type"}
        begun = {**others, "augment": {}} if begun["augment.type"] == "none" else others
    paths = [path for path in dict.fromkeys([*begun, *now]) if begun.get(path) != now.get(path)]
    if paths:
        listed = [f"{path} is {format_value(now.get(path))}, was {format_value(begun.get(path))}" for path in paths]
        more = f", and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
        changed = "; ".join(listed[:_LISTED])
        raise ResumeError(f"resume: the search began with other settings: {changed}{more}; restore them, or start anew")


def configuration_of(study: "optuna.Study") -> Mapping[str, Any]:
    """What the trials of a search that has begun share, flattened."""
    return dict(study.user_attrs.get(_ATTRIBUTE, {}))


def _may_change(path: str) -> bool:
    return any(path == setting or path.startswith(f"{setting}.") for setting in _CHANGEABLE)


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from _flat(child, f"{path}.{key}" if path else str(key))
    else:
        yield path, list(value) if isinstance(value, tuple) else value
