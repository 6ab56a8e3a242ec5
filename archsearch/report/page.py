"""The report as a self-contained HTML file, with light and dark modes, for small screens and screen readers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from archsearch.report import pictures
from archsearch.report.class_accuracy import class_sentence, class_table
from archsearch.report.class_names import TRAINED_FROM_PYTHON, is_custom
from archsearch.report.curves_picture import curves_plot
from archsearch.report.findings import Findings, PairComparison
from archsearch.report.front_picture import pareto_plot
from archsearch.report.layout import render
from archsearch.report.leaderboard import Leaderboard
from archsearch.report.network_picture import network_drawing
from archsearch.report.options import Cost
from archsearch.report.pareto import COSTS
from archsearch.report.plot_labels import variant_labels
from archsearch.report.prediction_diff import PredictionDiff
from archsearch.report.settings_picture import settings_plot
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

_MOST_IMAGES = 16
_MOST_RUNS = 100  # in the table of runs; the CSV file has all


def page_text(
    title: str,
    command: str | None,
    findings: Sequence[Findings],
    cost: Cost,
    notes: Sequence[str] = (),
    files: Sequence[str] = (),
) -> str:
    """The page, with one section per study; `files` are the names of the data files beside it."""
    families = sorted({study.board.family for study in findings})
    return render(
        "page.html",
        title=title,
        command=command,
        notes=notes,
        files=files,
        families=" and ".join(f"{family:,}" for family in families),
        shows_improvement=any(study.pair is not None and study.pair.validation.improvement for study in findings),
        studies=[_study(study, cost) for study in findings],
    )


def _study(findings: Findings, cost: Cost) -> dict[str, Any]:
    study, board, ablation = findings.study, findings.board, findings.ablation
    return {
        "title": study.title,
        "headline": headline(findings),
        "summary": findings.summary,
        "sentences": [sentence for sentence in findings.sentences if sentence != findings.summary],
        "notes": findings.notes,
        "judged_on": study.judged_on,
        "leaderboard": leaderboard_table(board),
        "plots": list(_plots(findings, cost)),
        "classes": _classes(findings),
        "pareto": pareto_table(findings.points, study, cost, only_front=False) if len(findings.points) > 1 else None,
        "effects": [
            {
                "picture": Markup(pictures.effect_plot(effect)),
                "table": effects_table(effect),
                "left_out": count(effect.left_out, "run") if effect.left_out else None,
            }
            for effect in ablation.effects
        ],
        "importance": {
            "picture": Markup(pictures.importance_plot(ablation)),
            "table": importance_table(ablation),
            "explained": explained(findings),
        }
        if ablation.importances
        else None,
        "pair": _pair(findings.pair) if findings.pair is not None else None,
        "runs": _runs(board),
        "more_runs": max(0, sum(len(row.variant.runs) for row in board.rows) - _MOST_RUNS),
    }


def _classes(findings: Findings) -> dict[str, Any] | None:
    """The accuracy on each class of the test set, if predictions are there."""
    if findings.confusion is None or findings.study.info is None:
        return None
    classes = findings.study.info.classes
    sentence = class_sentence(findings.subject, findings.confusion, classes)
    return {"table": class_table(findings.confusion, classes), "sentence": sentence}


def _plots(findings: Findings, cost: Cost) -> Iterator[dict[str, Any]]:
    """The plots of a study, with a short title and a caption each."""
    board = findings.board
    first = f" The first {pictures.MOST_ROWS} of {len(board.rows)}." if len(board.rows) > pictures.MOST_ROWS else ""
    ranking = f"Diamonds are means with 95 % intervals, dots single runs.{first}"
    shared = variant_labels(board.rows[: pictures.MOST_ROWS]).shared
    ranking += f" All of them have {shared}." if shared else ""
    yield _plot("Ranking", pictures.ranking_plot(board), ranking)
    if len(findings.points) > 1:
        front = "The line is the Pareto front; labels that would overlap are left out."
        yield _plot(f"Accuracy against {COSTS[cost]}", pareto_plot(findings.points, board, cost), front)
    curves = curves_plot(board)
    if curves is not None:
        subject = "A and B" if board.compared is not None else "The best variants"
        yield _plot(
            "Learning curves", curves, f"{subject}: mean and range over seeds. The first epochs may be cut off."
        )
    settings = settings_plot(board)
    if settings is not None:
        yield _plot("Settings", settings, f"Mean {board.study.judged_on} accuracy of each variant.")
    if findings.confusion is not None and findings.study.info is not None:
        matrix = pictures.confusion_plot(findings.confusion, findings.study.info.classes, is_difference=False)
        yield _plot(f"Mistakes of {findings.subject}", matrix, "Test images by class and prediction, mean over seeds.")


def _plot(title: str, picture: str, caption: str) -> dict[str, Any]:
    return {"title": title, "picture": Markup(picture), "caption": caption}


def _runs(board: Leaderboard) -> list[dict[str, Any]]:
    """The first runs, best variants first, with their pages in MLflow and the commands that repeat them."""
    runs = [(row, run) for row in board.rows for run in row.variant.runs.values()][:_MOST_RUNS]
    return [
        {
            "variant": row.variant.label,
            "seed": run.seed,
            "score": row.variant.scores().get(run.seed),
            "id": run.run_id,
            "link": run.link(),
            "command": run.command,
            "origin": TRAINED_FROM_PYTHON if is_custom(run.settings) else "-",
        }
        for row, run in runs
    ]


def _pair(pair: PairComparison) -> dict[str, Any]:
    architecture, predictions, classes = pair.architecture, pair.predictions, pair.classes
    return {
        "a": pair.a.label,
        "b": pair.b.label,
        "sentences": pair_sentences(pair),
        "notes": pair.notes,
        "blocks": blocks_table(architecture) if architecture is not None else None,
        "networks": list(_networks(pair)),
        "other": architecture.other if architecture is not None else [],
        "mcnemar": mcnemar_table(predictions) if predictions is not None else None,
        "confusion": Markup(pictures.confusion_plot(predictions.confusion, classes))
        if predictions is not None
        else None,
        "changes": confusion_changes(predictions, classes) if predictions is not None else [],
        "only_a": _gallery(pair, predictions, "A"),
        "only_b": _gallery(pair, predictions, "B"),
    }


def _networks(pair: PairComparison) -> Iterator[dict[str, Any]]:
    """The drawings of A and B, or of one if both are the same."""
    if pair.architecture is None:
        return
    plan_a, plan_b = pair.architecture.a, pair.architecture.b
    if plan_a == plan_b:
        yield _plot("Network of A and B", network_drawing(plan_a, "A and B"), "A and B have the same layers.")
        return
    moved = {block.name for block in pair.architecture.blocks if block.status == "moved"}
    for name, other, plan, other_plan in (("A", "B", plan_a, plan_b), ("B", "A", plan_b, plan_a)):
        caption = f"Thick edges mark blocks that {other} does not have, or has with other settings or in another place."
        yield _plot(f"Network of {name}", network_drawing(plan, name, other_plan, moved), caption)


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
