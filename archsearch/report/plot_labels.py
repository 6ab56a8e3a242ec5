"""Labels of variants and values that are short enough for a plot and still tell them apart."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from archsearch.compose.labels import describe, labels
from archsearch.report.study import Variant
from archsearch.system.terminal import printable

LONGEST = 28  # characters beside an axis
_DOTS = "..."
_SHORTEST_VALUE = 8  # characters, where a label has several values
_SHORTEST_LINE = 12  # characters
_POINTS = 4.8  # of a character, in the fonts of titles and axes
_LONG_PREFIX = 6  # characters that are left out where all texts begin with them


class HasVariant(Protocol):
    """A row of the leaderboard, or a point of the front."""

    @property
    def variant(self) -> Variant: ...

    @property
    def number(self) -> int: ...


@dataclass(frozen=True)
class PlotLabels:
    """One label per row; labels of different variants differ.

    `settings` says what the values in the labels are, if these do not: `dropout · width`. `shared` holds the settings
    that the labels leave out because the rows agree in them: `head.type=gap`.
    """

    texts: Sequence[str]
    settings: str | None = None
    shared: str | None = None


def variant_labels(rows: Sequence[HasVariant], longest: int = LONGEST) -> PlotLabels:
    """Whole labels if they are short enough, else settings in which the rows differ, else only their values.

    If the values are too long, they are shortened where they agree. Labels that do not suffice begin with the row's
    number in the leaderboard.
    """
    variants = [row.variant for row in rows]
    full = [printable(variant.label) for variant in variants]
    if max(map(len, full), default=0) <= longest:
        return PlotLabels(full)
    names = [name for name in variants[0].values if len({variant.values.get(name) for variant in variants}) > 1]
    if not names:
        return PlotLabels(shortened(full, longest))
    agreed = {name: value for name, value in variants[0].values.items() if name not in names}
    shared = printable(describe(agreed)) or None
    short_names = labels(names)
    values = [[printable(variant.values.get(name, "-")) for name in names] for variant in variants]

    def suffice(texts: Sequence[str]) -> bool:
        return max(map(len, texts)) <= longest and len(set(texts)) == len(set(full))

    texts = [printable(" ".join(map("=".join, zip(short_names, row, strict=True)))) for row in values]
    if suffice(texts):
        return PlotLabels(texts, None, shared)
    settings = " · ".join(short_names)
    width = max(_SHORTEST_VALUE, (longest + 3) // len(names) - 3)
    columns = [_shortened_column(column, width) for column in zip(*values, strict=True)]
    short_values = list(zip(*columns, strict=True))
    for candidates in (values, short_values):
        texts = [" · ".join(row) for row in candidates]
        if suffice(texts):
            return PlotLabels(texts, settings, shared)
    numbered = [f"#{row.number} {' · '.join(texts)}" for row, texts in zip(rows, short_values, strict=True)]
    return PlotLabels([cut(text, longest) for text in numbered], settings, shared)


def shortened(texts: Sequence[str], longest: int) -> list[str]:
    """The distinct `texts`, those that are too long shortened where they agree, so that they remain distinct."""
    whole = [printable(text) for text in texts]
    if max(map(len, whole), default=0) <= longest:
        return whole
    prefixes = _prefixes(whole)
    words = [prefix.rstrip("".join(filter(str.isalnum, prefix))) for prefix in prefixes]
    candidates = [_cut_texts(whole, longest, words), _cut_texts(whole, longest, [""] * len(whole))]
    candidates += [_cut_texts(whole, longest, prefixes), _cut_texts(whole, longest, prefixes, in_the_middle=True)]
    distinct = next((texts for texts in candidates if len(set(texts)) == len(set(whole))), None)
    return distinct or [f"{cut(text, longest - 4)} ({number})" if len(text) > longest else text
            for number, text in enumerate(whole, 1)]  # fmt: skip


def cut(text: str, longest: int = LONGEST) -> str:
    """`text` without control characters, and without its end if it is too long."""
    text = printable(text)
    return text if len(text) <= longest else f"{text[: longest - len(_DOTS)]}{_DOTS}"


def in_lines(names: str, inches: float) -> str:
    """Names of settings in lines that fit into `inches` of an axis or title."""
    return textwrap.fill(names, max(_SHORTEST_LINE, int(inches * 72 / _POINTS)), break_long_words=False)


def _shortened_column(texts: Sequence[str], longest: int) -> list[str]:
    distinct = list(dict.fromkeys(texts))
    short = dict(zip(distinct, shortened(distinct, longest), strict=True))
    return [short[text] for text in texts]


def _prefixes(texts: Sequence[str]) -> list[str]:
    """What each text has in common with all others that begin like it; empty if that is a whole text."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(text[:_LONG_PREFIX], []).append(text)
    prefixes: dict[str, str] = {}
    for start, group in groups.items():
        first, last = min(group), max(group)
        end = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        prefixes[start] = "" if first[:end] in group else first[:end]
    return [prefixes[text[:_LONG_PREFIX]] for text in texts]


def _cut_texts(texts: Sequence[str], longest: int, prefixes: Sequence[str], in_the_middle: bool = False) -> list[str]:
    """The texts with dots in place of their `prefixes`, if these are long, and cut at the end or in the middle."""
    rests = [
        _DOTS + text[len(prefix) :] if len(prefix) >= _LONG_PREFIX else text
        for text, prefix in zip(texts, prefixes, strict=True)
    ]
    tail = (longest - len(_DOTS)) // 2 if in_the_middle else 0
    return [text if len(text) <= longest else cut(text, longest - tail) + text[len(text) - tail :] for text in rests]
