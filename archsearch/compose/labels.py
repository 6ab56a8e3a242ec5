"""Short names of settings, for tables and the names of runs."""

from collections.abc import Mapping, Sequence

_TYPES = ("optimizer.type", "scheduler.type")
_PREFIXES = ("model.blocks.", "model.", "optimizer.", "scheduler.", "trainer.", "data.", "augment.")


def short_name(setting: str) -> str:
    """`dropout` for `model.dropout`, `conv3.channels` for `model.blocks.conv3.channels`."""
    if setting in _TYPES:
        return setting.removesuffix(".type")
    prefix = next((prefix for prefix in _PREFIXES if setting.startswith(prefix)), "")
    return setting.removeprefix(prefix)


def labels(settings: Mapping[str, object] | Sequence[str]) -> list[str]:
    """The short names of `settings`, or the full ones where two short names would be equal."""
    short_names = [short_name(setting) for setting in settings]
    return [
        short if short_names.count(short) == 1 else setting
        for short, setting in zip(short_names, settings, strict=True)
    ]


def describe(values: Mapping[str, str]) -> str:
    """Settings with their values, as in `dropout=0.05 width=1.5`."""
    return " ".join(f"{label}={value}" for label, value in zip(labels(values), values.values(), strict=True))


def unquote(value: str) -> str:
    """`value` without a pair of quotes around it."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
