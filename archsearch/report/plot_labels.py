"""Labels of variants that are short enough for a plot and still tell the variants apart."""

from collections.abc import Sequence
from typing import Protocol

from archsearch.compose.labels import describe, labels
from archsearch.report.study import Variant
from archsearch.report.svg import printable

LONGEST = 28  # characters beside an axis


class HasVariant(Protocol):
    """A row of the leaderboard, or a point of the front."""

    @property
    def variant(self) -> Variant: ...


def variant_labels(rows: Sequence[HasVariant], longest: int = LONGEST) -> list[str]:
    """One label per row: settings in which the rows differ, else only their values, else cut and numbered.

    Labels that are equal are never returned for different variants.
    """
    variants = [row.variant for row in rows]
    full = [printable(variant.label) for variant in variants]
    if max(map(len, full), default=0) <= longest:
        return full
    names = [name for name in variants[0].values if len({variant.values.get(name) for variant in variants}) > 1]
    short_names = labels(names)
    differing = [
        " ".join(f"{short}={variant.values.get(name, '-')}" for short, name in zip(short_names, names, strict=True))
        for variant in variants
    ]
    values = [" · ".join(variant.values.get(name, "-") for name in names) for variant in variants]
    for candidates in (differing, values):
        texts = [printable(text) for text in candidates]
        if names and max(map(len, texts)) <= longest and len(set(texts)) == len(set(full)):
            return texts
    return [cut(f"#{number} {text}", longest) for number, text in enumerate(map(printable, values), 1)]


def names_of_values(rows: Sequence[HasVariant], texts: Sequence[str]) -> str | None:
    """What the values in labels of `variant_labels` are, if the labels do not say so: `dropout · width`."""
    variants = [row.variant for row in rows]
    names = [name for name in variants[0].values if len({variant.values.get(name) for variant in variants}) > 1]
    are_values = any(" · " in text for text in texts) or any(text.startswith("#1 ") for text in texts)
    return " · ".join(labels(names)) if names and are_values else None


def shared_settings(rows: Sequence[HasVariant], texts: Sequence[str]) -> str | None:
    """The settings in which the rows agree, where their labels leave them out: `head.type=gap width=2`."""
    variants = [row.variant for row in rows]
    if len(variants) < 2 or list(texts) == [printable(variant.label) for variant in variants]:
        return None
    shared = {name: value for name, value in variants[0].values.items()
              if all(variant.values.get(name) == value for variant in variants)}  # fmt: skip
    return printable(describe(shared)) or None


def cut(text: str, longest: int = LONGEST) -> str:
    """`text` without control characters, and without its end if it is too long."""
    text = printable(text)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
