"""Names of networks that were trained from Python: their class, with a digest where classes share a name."""

from collections.abc import Mapping, Sequence

_CLASS, _DIGEST = "model.network", "model.digest"
_SHORTEST = 6  # characters of a digest
TRAINED_FROM_PYTHON = "trained from Python"  # in place of a command


def is_custom(settings: Mapping[str, str]) -> bool:
    """Whether these are the settings of a run of a network of one's own."""
    return _CLASS in settings


def with_class_names(settings: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """The settings of runs, with class and digest of a network as its `model`: `MyNet`, or `MyNet d05eb6`."""
    digests: dict[str, set[str]] = {}
    for mapping in settings:
        if is_custom(mapping):
            digests.setdefault(mapping[_CLASS], set()).add(mapping.get(_DIGEST, "-"))
    return [_named(mapping, digests) if is_custom(mapping) else mapping for mapping in settings]


def _named(mapping: Mapping[str, str], digests: Mapping[str, set[str]]) -> Mapping[str, str]:
    name, digest = mapping[_CLASS], mapping.get(_DIGEST, "-")
    rivals = digests[name]
    length = next(
        (size for size in range(_SHORTEST, len(digest)) if len({rival[:size] for rival in rivals}) == len(rivals)),
        len(digest),
    )
    others = {key: value for key, value in mapping.items() if key not in (_CLASS, _DIGEST)}
    return {**others, "model": name if len(rivals) == 1 else f"{name} {digest[:length]}"}
