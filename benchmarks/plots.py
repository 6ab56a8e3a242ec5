#!/usr/bin/env python3
"""Draw docs/speed.md's pictures from what the benchmarks have written to benchmarks/results.

usage: python benchmarks/plots.py [--results FOLDER] [--into FOLDER]
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import runner

from archsearch.runs.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, OTHERS, LINE = "#c8553d", "#5b7a9d", "#3a7d44"
TITLES = {
    "loop": "plain torchvision loop",
    "archsearch": "archsearch, one run",
    "sweep": "archsearch, a sweep",
    "lightning": "Lightning",
    "keras": "Keras",
}
Row = dict[str, Any]


def main() -> None:
    """Draw what there are results for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=runner.RESULTS)
    parser.add_argument("--into", type=Path, default=runner.BENCHMARKS.parent / "docs" / "images")
    asked = parser.parse_args()
    for name, draw, picture in (
        ("speed", draw_speed, "speed-images.png"),
        ("time_to_accuracy", draw_accuracy, "speed-accuracy.png"),
    ):
        source = asked.results / f"{name}.json"
        if source.is_file():
            draw(json.loads(source.read_text()), asked.into / picture)
            print(f"drawn: {asked.into / picture}")
        else:
            print(f"SKIPPED {picture}: there is no {source}; python benchmarks/{name}.py writes it")


def draw_speed(result: Row, path: Path) -> None:
    """Images a second of all candidates, training and evaluation, with the ratios to the loop."""
    names = list(result["summary"])[::-1]  # from below
    figure = new_figure(10, 1.6 + 0.5 * len(names))
    panels = (("images_per_second", "training"), ("evaluation_images_per_second", "evaluation"))
    for position, (metric, title) in enumerate(panels, 1):
        axes = figure.add_subplot(1, 2, position)
        found = [result["summary"][name][metric] for name in names]
        _bars(axes, found, [OURS if name in ("archsearch", "sweep") else OTHERS for name in names])
        for height, (name, values) in enumerate(zip(names, found, strict=True)):
            ratio = result["ratios"][name][metric]["median"]
            label = f"{values['median']:,.0f}" + ("" if name == "loop" else f"   ({ratio:.2f}x)")
            axes.annotate(label, (values["max"], height), (6, 0), textcoords="offset points", va="center", fontsize=9)
        axes.set_yticks(
            range(len(names)), [_title(name, result) for name in names] if position == 1 else [""] * len(names)
        )
        axes.set_xlim(0, 1.4 * max(values["max"] for values in found))
        axes.set_xlabel(f"{title}: images a second")
    rounds, machine = result["settings"]["rounds"], result["machine"]["processor"]
    save_figure(figure, path, f"Medians and ranges of {rounds} rounds; {machine}")


def draw_accuracy(result: Row, path: Path) -> None:
    """Seconds of training against the whole reference's, and the accuracies that they led to, seed by seed."""
    figure = new_figure(10, 3.6)
    shares, settings = result["shares"], result["settings"]
    reference = shares["reference_training_seconds"]
    axes = figure.add_subplot(1, 2, 1)
    ours = result["summary"]["archsearch"]["training_seconds"]
    _bars(axes, [ours, reference], [OURS, OTHERS])
    for height, (values, more) in enumerate(
        ((ours, f"   (1/{1 / shares['training']['median']:.1f})"), (reference, ""))
    ):
        label = f"{values['median']:,.0f} s{more}"
        axes.annotate(label, (values["max"], height), (6, 0), textcoords="offset points", va="center", fontsize=9)
    axes.axvline(reference["median"] / 6, color=LINE, linestyle="--", label="1/6 of it")
    names = (
        f"archsearch,\n{settings['epochs']} epochs",
        f"reference in the plain loop,\n{settings['reference_epochs']} epochs",
    )
    axes.set_yticks((0, 1), names)
    axes.set_xlim(0, 1.25 * reference["max"])
    axes.set_xlabel("seconds of training")
    axes.legend(frameon=False, loc="lower right")

    axes = figure.add_subplot(1, 2, 2)
    accuracy = result["accuracy"]
    axes.plot(range(1, 1 + len(accuracy["values"])), accuracy["values"], "o", color=OURS, label="a seed")
    axes.axhline(accuracy["mean"], color=OURS, linewidth=1, label=f"mean, {accuracy['mean']:.2f} %")
    axes.axhline(99.4, color=LINE, linestyle="--", label="99.40 %")
    axes.set_xticks(range(1, 1 + len(accuracy["values"])))
    axes.set_xlabel("seed")
    axes.set_ylabel("test accuracy of the final epoch, %")
    axes.margins(x=0.1, y=0.3)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    save_figure(figure, path, f"Training to 99.4 %: medians and ranges of {settings['seeds']} seeds")


def _title(name: str, result: Row) -> str:
    row = result["rounds"][name][0]
    if name == "keras":
        return f"Keras on {row['backend']}"
    return TITLES.get(name, name) + (f" of {row['workers']}" if "workers" in row else "")


def _bars(axes: "Axes", found: list[Row], colours: list[str]) -> None:
    """Horizontal bars of medians, with the ranges as whiskers."""
    middles = [values["median"] for values in found]
    below = [values["median"] - values["min"] for values in found]
    above = [values["max"] - values["median"] for values in found]
    style = {"ecolor": "#333333", "capsize": 3, "linewidth": 1}
    axes.barh(range(len(found)), middles, color=colours, xerr=[below, above], error_kw=style, height=0.6)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
