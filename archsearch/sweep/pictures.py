"""Figures of a sweep: a ranking of its variants, accuracy against size, and a heat map if two settings vary."""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

from archsearch.compose.labels import describe, labels
from archsearch.runs.figures import new_figure, save_figure
from archsearch.sweep.results import RunOutcome, VariantOutcome, outcomes_by_variant

RANKING, SIZE, MAP = "ranking.png", "size.png", "map.png"
_MAX_RANKED = 40  # variants in the ranking
_COLOUR, _FAINT = "#c8553d", "#5b7a9d"


def draw_sweep(folder: Path, outcomes: Sequence[RunOutcome], title: str) -> list[Path]:
    """Draw the finished runs among `outcomes` into `folder`; returns the paths of the figures."""
    variants = [variant for variant in outcomes_by_variant(outcomes) if variant.statistic("selecting") is not None]
    if not variants:
        return []
    images = "validation" if any(outcome.val_final is not None for outcome in outcomes) else "test"
    axis = f"{images} accuracy after the last epoch, %"
    paths = [folder / RANKING]
    _ranking(paths[0], variants, axis, title)
    if len({variant.outcomes[0].params for variant in variants}) > 1:
        paths.append(folder / SIZE)
        _size(paths[-1], variants, axis, title)
    keys = list(variants[0].values)
    if len(keys) == 2 and len(variants) > 3:
        paths.append(folder / MAP)
        _map(paths[-1], variants, keys, axis, title)
    return paths


def _ranking(path: Path, variants: Sequence[VariantOutcome], axis: str, title: str) -> None:
    """One row per variant, the best on top: a dot for each seed, a bar for their mean."""
    shown = variants[:_MAX_RANKED]
    longest = max(len(_label(variant.values)) for variant in shown)
    figure = new_figure(6 + longest * 0.07, 1.6 + 0.3 * len(shown))
    axes = figure.add_subplot()
    for row, variant in enumerate(shown):
        points = variant.values_of("selecting")
        axes.plot(points, [row] * len(points), "o", color=_FAINT if len(points) > 1 else _COLOUR, markersize=5)
        if len(points) > 1:
            axes.plot([sum(points) / len(points)], [row], "|", color=_COLOUR, markersize=14, markeredgewidth=2.5)
    axes.set_yticks(range(len(shown)), [_label(variant.values) for variant in shown])
    axes.invert_yaxis()
    axes.set_xlabel(axis)
    axes.grid(axis="x", alpha=0.25)
    more = f" (the best {_MAX_RANKED} of {len(variants)})" if len(variants) > _MAX_RANKED else ""
    save_figure(figure, path, title + more)


def _size(path: Path, variants: Sequence[VariantOutcome], axis: str, title: str) -> None:
    figure = new_figure(7.5, 5)
    axes = figure.add_subplot()
    sizes = [variant.outcomes[0].params or 0 for variant in variants]
    middle = (min(sizes) + max(sizes)) / 2
    for variant, size in zip(variants, sizes, strict=True):
        mean, sd, _ = variant.statistic("selecting") or (0.0, None, 0)
        axes.errorbar([size], [mean], yerr=[sd or 0.0], fmt="o", color=_COLOUR, markersize=5, capsize=3)
        if len(variants) <= 12:
            side, offset = ("left", (6, 4)) if size <= middle else ("right", (-6, 4))  # towards the centre
            axes.annotate(
                _label(variant.values), (size, mean),
                xytext=offset, textcoords="offset points", ha=side, fontsize=8, color="#555555",
            )  # fmt: skip
    axes.set_xlabel("parameters")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel(axis)
    axes.margins(x=0.15)
    axes.grid(alpha=0.25)
    save_figure(figure, path, title)


def _map(path: Path, variants: Sequence[VariantOutcome], keys: Sequence[str], axis: str, title: str) -> None:
    columns, rows = (
        list(dict.fromkeys(sorted((variant.values[key] for variant in variants), key=_sort_key))) for key in keys
    )
    means = {tuple(variant.values.values()): (variant.statistic("selecting") or (0.0,))[0] for variant in variants}
    figure = new_figure(2.6 + 1.1 * len(columns), 2.2 + 0.6 * len(rows))
    axes = figure.add_subplot()
    grid = [[means.get((column, row), float("nan")) for column in columns] for row in rows]
    image = axes.imshow(grid, cmap="YlGnBu", aspect="auto")
    middle = (max(means.values()) + min(means.values())) / 2
    for (y, row), (x, column) in product(enumerate(rows), enumerate(columns)):
        if (column, row) in means:
            value = means[column, row]
            axes.text(x, y, f"{value:.2f}", ha="center", va="center", color="white" if value > middle else "black")
    x_label, y_label = labels(keys)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    figure.colorbar(image, ax=axes, label=axis)
    save_figure(figure, path, title)


def _label(values: Mapping[str, str]) -> str:
    return describe(values) or "all"


def _sort_key(value: str) -> tuple[int, float, str]:
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value
