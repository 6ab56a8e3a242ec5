"""The plots of learning curves and settings, and what the page holds besides."""

import json
import re
from itertools import product
from pathlib import Path

import pytest

from archsearch.report.curves_picture import curves_plot
from archsearch.report.front_picture import pareto_plot
from archsearch.report.leaderboard import Leaderboard, rank
from archsearch.report.pareto import points_of
from archsearch.report.pictures import ranking_plot
from archsearch.report.settings_picture import settings_plot
from archsearch.report.study import studies_of
from tests.support.processes import Cli
from tests.support.studies import study, study_run, write_sweep


def board_of(*factors: str) -> Leaderboard:
    runs = [
        study_run(1, 98 + first + second / 10, **dict(zip(factors, (first, second, first + second), strict=False)))
        for first in (0, 1)
        for second in (0, 1, 2)
    ]
    (grid,) = studies_of(runs)
    return rank(grid)


def test_two_settings_make_a_heat_map_with_every_mean() -> None:
    svg = settings_plot(board_of("model__dropout", "model__width"))
    assert svg is not None and "accuracy by width and dropout" in svg
    assert {"98.00", "98.20", "99.00", "99.20"} <= set(re.findall(r">([\d.]+)</text>", svg))


def test_three_settings_make_parallel_coordinates() -> None:
    runs = [
        study_run(1, 98 + (a + b + c) / 10, model__dropout=a, model__width=b, optimizer__lr=c)
        for a in (0, 1) for b in (0, 1) for c in (0, 1)
    ]  # fmt: skip
    (grid,) = studies_of(runs)
    svg = settings_plot(rank(grid))
    assert svg is not None and "98.00 %" in svg and "98.30 %" in svg
    assert all(f">{name}</text>" in svg for name in ("dropout", "width", "lr"))


def test_long_names_of_axes_stand_in_two_rows() -> None:
    names = [f"model__blocks.conv{number}.channels" for number in range(1, 6)]
    runs = [study_run(1, 98 + sum(values) / 10, **dict(zip(names, values, strict=True)))
            for values in product((0, 1), repeat=5)]  # fmt: skip
    (grid,) = studies_of(runs)
    svg = settings_plot(rank(grid))
    assert svg is not None
    heights = [float(re.findall(r"translate\([\d.]+ ([\d.]+)\)|y=\"([\d.]+)\"", text)[0][1] or 0)
               for text in re.findall(r"<text[^>]*>conv\d.channels</text>", svg)]  # fmt: skip
    assert len(heights) == 5 and len(set(heights)) == 2


def test_a_plot_names_the_settings_of_bare_values() -> None:
    runs = [
        study_run(seed, 98 + a / 10 + b, history=lambda: [(1, 90.0), (2, 95.0)], params=1000 + 100 * a + b,
                  **{"model__blocks.conv3.channels": f"1000{a}", "model__blocks.conv4.kernel_size": f"3{b}"})
        for a in (1, 2) for b in (1, 2) for seed in (1, 2)
    ]  # fmt: skip
    board = rank(studies_of(runs)[0])
    for svg in (curves_plot(board), pareto_plot(points_of(board, "params"), board, "params"), ranking_plot(board)):
        assert svg is not None and "10001 · 31<" in svg and "conv3.channels ·" in svg and "conv4.kernel_size<" in svg


def test_a_variant_named_like_a_colour_or_a_font_keeps_its_name() -> None:
    names = ["#010203", "#0a0b0c", "font-family: x; y"]
    svg = ranking_plot(rank(study({name: [99.1, 99.2] for name in names}, "model__activation")))
    assert all(f"activation={name}</text>" in svg for name in names)
    assert "fill: var(--ink)" in svg and "fill: #010203" not in svg
    assert "font-size: 9px" in svg and "sans-serif" not in svg


def test_one_setting_needs_no_plot_of_settings() -> None:
    assert settings_plot(rank(study({"0": [99.0], "0.1": [99.1], "0.2": [99.2]}))) is None


def test_learning_curves_need_a_history() -> None:
    assert curves_plot(rank(study({"0": [99.0], "0.1": [99.1]}))) is None


def test_learning_curves_end_near_the_best_accuracy() -> None:
    history = [(epoch, 10.0 if epoch == 1 else 97 + epoch / 10) for epoch in range(1, 21)]
    svg = curves_plot(rank(study({"0": [99.0], "0.1": [99.1]}, history=lambda: history)))
    assert svg is not None
    ticks = [float(text) for text in re.findall(r">([\d.]+)</text>", svg)]
    assert max(ticks) < 100 and min(tick for tick in ticks if tick > 20) > 97  # epochs are up to 20


@pytest.fixture
def page(report: Cli, workspace: Path) -> str:
    """The page of a sweep whose runs have a history and are recorded in a store."""
    folder = write_sweep(
        workspace / "outputs" / "sweeps" / "a", {"model.dropout": ["0", "0.1"], "seed": ["1", "2"]},
        history=[{"epoch": epoch, "val/accuracy": 90.0 + epoch} for epoch in range(1, 9)],
        tracking={"uri": "http://user:secret@host:5000", "experiment_id": "7"}, right=[True] * 290 + [False] * 7,
    )  # fmt: skip
    assert report().returncode == 0
    return (folder / "report.html").read_text()


def test_the_page_has_curves_and_the_mistakes_of_the_leader(page: str) -> None:
    assert "Learning curves</h4>" in page and "Mistakes of the leader</h4>" in page


def test_the_page_links_each_run_without_a_password_and_has_its_command(page: str, workspace: Path) -> None:
    result = json.loads((workspace / "outputs/sweeps/a/0/result.json").read_text())
    assert f'href="http://host:5000/#/experiments/7/runs/{result["run_id"]}' in page
    assert "secret" not in page
    assert "python -m archsearch model.dropout=0 seed=1" in page


def test_one_sentence_comes_before_the_table(page: str) -> None:
    before = page[page.index("<h2") : page.index("<table")]
    assert len(re.findall(r'<p class="lead">', before)) == 1 and "has the best validation accuracy" in before
    assert "No significant difference" not in before
