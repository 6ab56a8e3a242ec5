"""The page of a search: it shows what there is of a search, however little that is."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archsearch.config.search import Budget
from archsearch.report.search_page import write_search_page
from archsearch.search.begun import check_begun
from archsearch.search.proposals import Proposal
from archsearch.search.spending import Spending
from archsearch.search.stopping import Halving
from archsearch.search.summary import Summary, summarise
from archsearch.sweep.record import Entry, SweepRecord
from archsearch.sweep.results import RunOutcome
from tests.support.requests import ask
from tests.support.searches import MIXED, searching
from tests.support.simulated import Simulation, rising

Curve = Callable[[Proposal, int], float]


def searched(
    folder: Path, trials: int, objectives: Sequence[str] = ("val/accuracy", "params"), curve: Curve = rising
) -> Summary:
    """A search whose trials were not really trained."""
    composed = searching(*MIXED)
    proposer = composed.proposer("random", folder / "study.log", objectives=objectives)
    check_begun(proposer.study, ask().config)
    simulation = Simulation(proposer, Halving((1, 3), 3), Spending(Budget(trials=trials)), folder, curve)
    simulation.run()
    entries = [
        Entry(p.number, str(p.number), f"trial <{p.number}>", dict(p.values), [], p.identity, "READY", None, p.params,
              p.macs)
        for p in simulation.begun
    ]  # fmt: skip
    record = SweepRecord(["model.dropout=interval(0,0.3)"], "s", list(entries[0].values), entries)
    record.hydra = ["hydra/sweeper=search"]
    return summarise(record, folder, proposer.study)


def page_of(search: Summary) -> str:
    path = write_search_page(search)
    text = path.read_text()
    assert path.name == "search.html" and "<script src" not in text and not re.search(r"(src|href)=\"https?:", text)
    return text


def headings(text: str) -> list[str]:
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", text)


def test_a_search_shows_its_front_its_progress_its_stops_and_what_mattered(tmp_path: Path) -> None:
    search = searched(tmp_path, 27)
    text = page_of(search)
    assert headings(text) == ["Front", "Plots", "Why trials ended", "Importance of settings", "Methods"]
    assert re.findall(r"<h4>([^<]*)</h4>", text)[:4] == [
        "Validation accuracy against parameters", "Best so far over trials", "Best so far over epochs",
        "Best so far over seconds",
    ]  # fmt: skip
    assert "Of the trials that have trained so many epochs, the best 1 in 3 train on" in text
    assert re.search(r"<td[^>]*>1</td>\s*<td[^>]*>27</td>", text)
    assert all(f'<a href="{trial.number}/"' in text for trial in search.front)
    assert "hydra/sweeper=search &#39;model.dropout=interval(0,0.3)&#39;" in text
    assert "trial &lt;" in text and "trial <" not in text


@pytest.mark.parametrize(
    ("objectives", "plots"),
    [(("val/loss",), 4), (("val/accuracy", "macs", "epoch_seconds"), 5)],
)
def test_one_objective_and_three_have_their_plots(tmp_path: Path, objectives: tuple[str, ...], plots: int) -> None:
    text = page_of(searched(tmp_path, 9, objectives))
    assert text.count("<figure><h4>") == plots
    assert ("Hypervolume</dt>" in text) == (len(objectives) > 1)
    assert "How much settings matter cannot be said: only 9 trials can be compared" in text


def test_two_trials_suffice(tmp_path: Path) -> None:
    text = page_of(searched(tmp_path, 2))
    assert "2 trials: 1 trained, 1 stopped early" in text and text.count("<figure><h4>") == 4


def test_a_search_whose_trials_all_failed_says_why(tmp_path: Path) -> None:
    search = searched(tmp_path, 3)
    for trial in search.trials:
        (tmp_path / str(trial) / "result.json").write_text(json.dumps({"state": "FAILED", "reason": "no <memory>"}))
    text = page_of(summarise(search.record, tmp_path, _study_of(tmp_path, search.objectives)))
    assert headings(text) == ["Why trials ended", "Methods"]
    assert "<li>3 failed or did not end: no &lt;memory&gt;</li>" in text
    assert "No trial has been trained to the end, so there is nothing to show." in text


def _study_of(folder: Path, objectives: Sequence[str]) -> Any:
    from archsearch.search.storage import open_study

    return open_study(folder / "study.log", objectives)


def test_finalists_are_drawn_and_stand_beside_what_chose_them(tmp_path: Path) -> None:
    search = searched(tmp_path, 9)
    best = search.front[0]
    (best.folder / "config.yaml").write_text(json.dumps(ask("data=digits").config))
    runs = [
        RunOutcome(n, {"trial": str(best.number), "seed": str(n)}, 12_954, 1, None, 90.0 + n, 80.0 + n, 1.0, 3,
                   "FINISHED", None, None)
        for n in range(2)
    ]  # fmt: skip
    text = page_of(replace(search, finalists=runs))
    assert headings(text)[0] == "Finalists" and "Networks of the finalists" in headings(text)
    assert "90.50 ± 0.71" in text and "80.50 ± 0.71" in text
    assert f"<h4>Trial {best.number}</h4>" in text and "Linear 144→10" in text
    assert "optimistic; the test set has not been read" not in text


def test_what_a_function_returned_has_no_unit(tmp_path: Path) -> None:
    search = searched(tmp_path, 9)
    search.record.evaluated = True
    trials = {number: replace(trial, is_evaluated=True) for number, trial in search.trials.items()}
    text = page_of(replace(search, trials=trials, front=[trials[trial.number] for trial in search.front]))
    assert "Nothing was trained: a function of the plan gave these values." in text
    assert "accuracy, %" not in text and "Why trials ended" not in headings(text) and "Repeat it" not in text
