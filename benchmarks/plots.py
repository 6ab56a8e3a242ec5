#!/usr/bin/env python3
"""Draw the figures of docs/speed.md from benchmarks/results.

usage: python benchmarks/plots.py [--results FOLDER] [--into FOLDER]
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arguments import parser_of
from checkout import REPOSITORY
from results_file import RESULTS
from summary import Row

from archsearch.runs.figures import new_figure, save_figure
from archsearch.runs.formatting import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ARCHSEARCH_COLOUR, RIVAL_COLOUR, TARGET_COLOUR = "#c8553d", "#5b7a9d", "#3a7d44"
ARCHSEARCH = ("archsearch", "sweep", "archsearch-float32", "sweep-float32")
TITLES = {
    "loop": "plain torchvision loop",
    "archsearch": "archsearch, one run",
    "sweep": "archsearch, a sweep",
    "archsearch-float32": "one run in float32",
    "sweep-float32": "a sweep in float32",
    "lightning": "Lightning",
    "keras": "Keras",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Draw a figure of each result that exists."""
    parser = parser_of(__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--into", type=Path, default=REPOSITORY / "docs" / "images")
    options = parser.parse_args(argv)
    for name, draw, picture in (
        ("speed", draw_speed, "speed-images.png"),
        ("time_to_accuracy", draw_accuracy, "speed-accuracy.png"),
    ):
        source = options.results / f"{name}.json"
        if source.is_file():
            draw(json.loads(source.read_text()), options.into / picture)
            print(f"drawn: {options.into / picture}")
        else:
            print(f"SKIPPED {picture}: {source} does not exist; run python benchmarks/{name}.py first")


def draw_speed(result: Row, path: Path) -> None:
    """Images per second of all candidates in training and evaluation, with their ratios to the loop."""
    names = list(result["summary"])[::-1]  # from the bottom up
    colours = [ARCHSEARCH_COLOUR if name in ARCHSEARCH else RIVAL_COLOUR for name in names]
    figure = new_figure(10, 1.6 + 0.5 * len(names))
    panels = (("images_per_second", "training"), ("evaluation_images_per_second", "evaluation"))
    for position, (metric, title) in enumerate(panels, 1):
        axes = figure.add_subplot(1, 2, position)
        bars = [result["summary"][name][metric] for name in names]
        labels = []
        for name, values in zip(names, bars, strict=True):
            ratio = result["ratios"][name][metric]["median"]
            labels.append(f"{values['median']:,.0f}" + ("" if name == "loop" else f"   ({ratio:.2f}x)"))
        _bars(axes, bars, colours, labels)
        titles = [_title(name, result) for name in names] if position == 1 else [""] * len(names)
        axes.set_yticks(range(len(names)), titles)
        axes.set_xlim(0, 1.4 * max(values["max"] for values in bars))
        axes.set_xlabel(f"{title}: images per second")
    rounds, machine = result["settings"]["rounds"], result["machine"]["processor"]
    save_figure(figure, path, f"Medians and ranges of {rounds} rounds; {machine}")


def draw_accuracy(result: Row, path: Path) -> None:
    """Seconds of training compared with the whole reference's, and the resulting accuracy of each seed."""
    figure = new_figure(10, 3.6)
    shares, settings = result["shares"], result["settings"]
    reference = shares["reference_training_seconds"]
    axes = figure.add_subplot(1, 2, 1)
    bars = [result["summary"]["archsearch"]["training_seconds"], reference]
    share = f"   (1/{1 / shares['training']['median']:.1f})"
    labels = [f"{values['median']:,.0f} s{more}" for values, more in zip(bars, (share, ""), strict=True)]
    _bars(axes, bars, [ARCHSEARCH_COLOUR, RIVAL_COLOUR], labels)
    axes.axvline(reference["median"] / 15, color=TARGET_COLOUR, linestyle="--", label="1/15 of the reference")
    names = (
        f"archsearch,\n{count(settings['epochs'], 'epoch')}",
        f"reference in the plain loop,\n{count(settings['reference_epochs'], 'epoch')}",
    )
    axes.set_yticks((0, 1), names)
    axes.set_xlim(0, 1.25 * reference["max"])
    axes.set_xlabel("seconds of training")
    axes.legend(frameon=False, loc="lower right")

    axes = figure.add_subplot(1, 2, 2)
    accuracy = result["accuracy"]
    seeds = range(1, 1 + len(accuracy["values"]))
    axes.plot(seeds, accuracy["values"], "o", color=ARCHSEARCH_COLOUR, label="one seed")
    axes.axhline(accuracy["mean"], color=ARCHSEARCH_COLOUR, linewidth=1, label=f"mean, {accuracy['mean']:.2f} %")
    axes.axhline(99.4, color=TARGET_COLOUR, linestyle="--", label="99.40 %")
    axes.set_xticks(seeds)
    axes.set_xlabel("seed")
    axes.set_ylabel("test accuracy of the final epoch, %")
    axes.margins(x=0.1, y=0.3)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    save_figure(figure, path, f"Training to 99.4 %: medians and ranges of {count(settings['seeds'], 'seed')}")


def _title(name: str, result: Row) -> str:
    row = result["rounds"][name][0]
    if name == "keras":
        return f"Keras on {row['backend']}"
    return TITLES.get(name, name) + (f" of {row['workers']}" if "workers" in row else "")


def _bars(axes: "Axes", bars: Sequence[Row], colours: Sequence[str], labels: Sequence[str]) -> None:
    """Horizontal bars of medians, with the ranges as whiskers and a label beside each."""
    medians = [values["median"] for values in bars]
    below = [values["median"] - values["min"] for values in bars]
    above = [values["max"] - values["median"] for values in bars]
    style = {"ecolor": "#333333", "capsize": 3, "linewidth": 1}
    axes.barh(range(len(bars)), medians, color=colours, xerr=[below, above], error_kw=style, height=0.6)
    for height, (values, label) in enumerate(zip(bars, labels, strict=True)):
        axes.annotate(label, (values["max"], height), (6, 0), textcoords="offset points", va="center", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
