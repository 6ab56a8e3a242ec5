"""The report as a self-contained HTML file, with light and dark modes, for small screens and screen readers."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from archsearch import __version__
from archsearch.report import pictures
from archsearch.report.findings import Findings, PairComparison
from archsearch.report.front_picture import pareto_plot
from archsearch.report.options import Cost
from archsearch.report.prediction_diff import PredictionDiff
from archsearch.report.tables import (
    blocks_table,
    confusion_changes,
    effects_table,
    importance_table,
    leaderboard_table,
    mcnemar_table,
    pareto_table,
)
from archsearch.report.text import explained, headline, pair_sentences
from archsearch.runs.formatting import count

_TEMPLATE = Path(__file__).with_name("page.html")
_MOST_IMAGES = 16
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")  # not allowed in HTML


def page_text(
    title: str, command: str | None, findings: Sequence[Findings], cost: Cost, notes: Sequence[str] = ()
) -> str:
    """The page, with one section per study."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    families = sorted({study.board.family for study in findings})
    text = template.render(
        title=title,
        command=command,
        created=f"{datetime.now().strftime('%Y-%m-%d %H:%M')}{''.join(f'; {note}' for note in notes)}",
        version=__version__,
        families=" and ".join(map(str, families)),
        studies=[_study(study, cost) for study in findings],
    )
    text = text.replace(" +- ", " ± ").replace(" -&gt; ", " → ")
    return _CONTROL.sub("?", text)


def _study(findings: Findings, cost: Cost) -> dict[str, Any]:
    board, ablation = findings.board, findings.ablation
    content: dict[str, Any] = {
        "headline": headline(findings),
        "sentences": findings.sentences,
        "notes": findings.notes,
        "judged_on": findings.study.judged_on,
        "leaderboard": leaderboard_table(board),
        "ranking": Markup(pictures.ranking_plot(board)),
        "rows_shown": f"{pictures.MOST_ROWS} of {len(board.rows)}" if len(board.rows) > pictures.MOST_ROWS else None,
        "pareto": None,
        "effects": [
            {
                "picture": Markup(pictures.effect_plot(effect)),
                "table": effects_table(effect),
                "left_out": count(effect.left_out, "run") if effect.left_out else None,
            }
            for effect in ablation.effects
        ],
        "importance": None,
        "pair": _pair(findings.pair) if findings.pair is not None else None,
    }
    if len(findings.points) > 1:
        content["pareto"] = {
            "picture": Markup(pareto_plot(findings.points, board, cost)),
            "table": pareto_table(findings.points, findings.study, cost, only_front=False),
        }
    if ablation.importances:
        content["importance"] = {
            "picture": Markup(pictures.importance_plot(ablation)),
            "table": importance_table(ablation),
            "explained": explained(findings),
        }
    return content


def _pair(pair: PairComparison) -> dict[str, Any]:
    architecture, predictions, classes = pair.architecture, pair.predictions, pair.classes
    return {
        "a": pair.a.label,
        "b": pair.b.label,
        "sentences": pair_sentences(pair),
        "notes": pair.notes,
        "blocks": blocks_table(architecture) if architecture is not None else None,
        "other": architecture.other if architecture is not None else [],
        "mcnemar": mcnemar_table(predictions) if predictions is not None else None,
        "confusion": Markup(pictures.confusion_plot(predictions, classes)) if predictions is not None else None,
        "changes": confusion_changes(predictions, classes) if predictions is not None else [],
        "only_a": _gallery(pair, predictions, "A"),
        "only_b": _gallery(pair, predictions, "B"),
    }


def _gallery(pair: PairComparison, predictions: PredictionDiff | None, which: str) -> list[Mapping[str, Any]]:
    """The test images that `A` (or `B`) classifies correctly more often than the other."""
    if predictions is None or pair.images is None:
        return []
    networks_a, networks_b = map(len, predictions.guesses)
    other = "B" if which == "A" else "A"
    return [
        {
            "uri": pictures.thumbnail(pair.images[index]),
            "index": index,
            "label": pair.classes[predictions.labels[index]],
            "mistake": pair.classes[predictions.usual_mistake(other, index)],
            "correct_a": f"{round(predictions.right_a[index] * networks_a)} of {networks_a}",
            "correct_b": f"{round(predictions.right_b[index] * networks_b)} of {networks_b}",
        }
        for index in predictions.only(which, _MOST_IMAGES)
    ]
