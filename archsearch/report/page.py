"""A report as one HTML file that works offline, light and dark, on a phone and with a screen reader."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from archsearch import __version__
from archsearch.report import pictures
from archsearch.report.findings import Findings, PairComparison
from archsearch.report.options import Cost
from archsearch.report.prediction_diff import PredictionDiff
from archsearch.report.tables import (
    blocks_table,
    confusion_changes,
    effects_table,
    front_table,
    importance_table,
    leaderboard_table,
    mcnemar_table,
)
from archsearch.report.text import duel_sentences, explained, headline
from archsearch.system.atomic import write_text

PAGE = "report.html"
_TEMPLATE = Path(__file__).with_name("page.html")
_MOST_IMAGES = 16


def write_page(
    path: Path, title: str, command: str | None, found: Sequence[Findings], cost: Cost, notes: Sequence[str] = ()
) -> None:
    """Write the page of a report, one section a study, by rename."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    families = sorted({each.board.family for each in found})
    path.parent.mkdir(parents=True, exist_ok=True)
    text = template.render(
        title=title,
        command=command,
        made=f"{datetime.now().strftime('%Y-%m-%d %H:%M')}{''.join(f'; {note}' for note in notes)}",
        version=__version__,
        families=" and ".join(map(str, families)),
        studies=[_study(each, cost) for each in found],
    )
    write_text(path, text.replace(" +- ", " ± ").replace(" -&gt; ", " → "))


def _study(found: Findings, cost: Cost) -> dict[str, Any]:
    board, ablation = found.board, found.ablation
    shown: dict[str, Any] = {
        "headline": headline(found),
        "sentences": found.sentences,
        "notes": found.notes,
        "judged_on": found.study.judged_on,
        "leaderboard": leaderboard_table(board),
        "ranking": Markup(pictures.ranking(board)),
        "cut": f" The first {pictures.MOST_ROWS} of {len(board.rows)}." if len(board.rows) > pictures.MOST_ROWS else "",
        "front": None,
        "effects": [
            {"picture": Markup(pictures.effect(each)), "table": effects_table(each), "left_out": each.left_out}
            for each in ablation.effects
        ],
        "importance": None,
        "duel": _duel(found.duel) if found.duel is not None else None,
    }
    if len(found.points) > 1:
        picture = Markup(pictures.front(found.points, board, cost))
        shown["front"] = {"picture": picture, "table": front_table(found.points, found.study, cost, whole=True)}
    if ablation.importances:
        shown["importance"] = {
            "picture": Markup(pictures.importance(ablation)),
            "table": importance_table(ablation),
            "explained": explained(found),
        }
    return shown


def _duel(duel: PairComparison) -> dict[str, Any]:
    architecture, predictions = duel.architecture, duel.predictions
    classes = duel.classes
    return {
        "a": duel.a.label,
        "b": duel.b.label,
        "sentences": duel_sentences(duel),
        "notes": duel.notes,
        "blocks": blocks_table(architecture) if architecture is not None else None,
        "other": architecture.other if architecture is not None else [],
        "mcnemar": mcnemar_table(predictions) if predictions is not None else None,
        "confusion": Markup(pictures.confusion(predictions, classes)) if predictions is not None else None,
        "changes": confusion_changes(predictions, classes) if predictions is not None else [],
        "only_a": _gallery(duel, predictions, "A"),
        "only_b": _gallery(duel, predictions, "B"),
    }


def _gallery(duel: PairComparison, predictions: PredictionDiff | None, which: str) -> list[Mapping[str, Any]]:
    if predictions is None or duel.images is None:
        return []
    counts = [len(each) for each in predictions.guesses]
    other = "B" if which == "A" else "A"
    return [
        {
            "uri": pictures.thumbnail(duel.images[at]),
            "index": at,
            "label": duel.classes[predictions.labels[at]],
            "taken_for": duel.classes[predictions.usual_mistake(other, at)],
            "right_a": f"{round(predictions.right_a[at] * counts[0])} of {counts[0]}",
            "right_b": f"{round(predictions.right_b[at] * counts[1])} of {counts[1]}",
        }
        for at in predictions.only(which, _MOST_IMAGES)
    ]
