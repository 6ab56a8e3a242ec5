"""Asking and telling: duplicates, budgets, resumption, and the record in Optuna's study."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from archsearch.config.search import BlockLimits
from archsearch.errors import ConfigError, ResumeError
from archsearch.search.feasibility import check_space
from archsearch.search.storage import open_study
from tests.support.processes import REPOSITORY
from tests.support.searches import MIXED, identities, score, searching, train

SMALL = ("model.dropout=0,0.1", "model.width=0.5,0.51")


def test_a_network_that_was_proposed_is_trained_with_another_seed_on_request() -> None:
    composed = searching(*SMALL, "seed=5")
    proposals = train(composed.proposer("random", duplicates="reseed"), 12)
    assert len(proposals) == 12 and len(identities(proposals)) == 2
    for identity in identities(proposals):
        same = [proposal for proposal in proposals if proposal.identity == identity]
        assert [proposal.replicate for proposal in same] == list(range(len(same)))
        assert [proposal.overrides[-1] for proposal in same[1:]] == [
            f"seed={5 + again}" for again in range(1, len(same))
        ]
        assert not same[0].overrides[-1].startswith("seed=")


def test_a_trial_that_is_running_or_failed_is_not_proposed_again() -> None:
    composed = searching(*SMALL)
    proposer = composed.proposer("random")
    first, second = proposer.propose(), proposer.propose()
    assert first is not None and second is not None and first.identity != second.identity
    assert [proposal.number for proposal in proposer.running()] == [0, 1] and proposer.running()[0] == first
    proposer.tell(0, None, "FAIL")
    proposer.tell(0, {"val/accuracy": 99.0})  # late news about a finished trial
    assert proposer.study.trials[0].state.name == "FAIL" and proposer.propose() is None


def test_a_loss_that_is_no_number_fails_the_trial() -> None:
    composed = searching(*SMALL)
    proposer = composed.proposer("random", objectives=("val/loss",))
    assert proposer.propose() is not None
    proposer.tell(0, {"val/loss": float("nan")})
    assert proposer.study.trials[0].state.name == "FAIL" and proposer.members()[0].losses is None


@pytest.mark.parametrize("sampler", ["tpe", "evolution", "local_search", "random", "nsga2"])
def test_a_space_of_which_hardly_anything_fits_is_searched(sampler: str) -> None:
    words = ("model.blocks.conv4.channels=range(1,200)", "model.blocks.conv5.channels=range(1,200)")
    composed = searching(*words, "constraints.max_params=9000")
    proposals = train(composed.proposer(sampler), 3)
    assert len(identities(proposals)) == 3 and all(proposal.params <= 9000 for proposal in proposals)


def test_optuna_learns_what_does_not_fit() -> None:
    composed = searching(
        "model.width=range(0.5,8,0.5)", "model.dropout=interval(0,0.3)", "constraints.max_params=13000"
    )
    proposer = composed.proposer("tpe")
    assert len(train(proposer, 10)) == 10
    refused = [trial for trial in proposer.study.trials if trial.state.name == "PRUNED"]
    assert refused and all(trial.constraints["max_params"] > 0 for trial in refused)
    assert not any("proposal" in trial.user_attrs for trial in refused)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (
            ("model.width=1,2", "model.dropout=interval(0,0.5)", "constraints.max_params=10000"),
            "max_params: no network of the space fits: the smallest found has 12,954 parameters, 2,954 more than",
        ),
        (
            ("model.width=range(1,9)", "constraints.max_macs=1000000", "constraints.min_receptive_field=30"),
            "min_receptive_field: no network of the space fits: the largest found has 26 pixels of receptive field",
        ),
        (("model.blocks.conv5.kernel_size=13,14",), "model.blocks.conv5: no network of the space can be trained: "),
    ],
)
def test_a_space_of_which_nothing_fits_is_refused(words: tuple[str, ...], rule: str) -> None:
    composed = searching(*words)
    with pytest.raises(ConfigError) as caught:
        check_space(composed.space, composed.checks, composed.constraints, 1)
    assert rule in str(caught.value)


def test_architectures_of_which_none_fits_are_refused() -> None:
    composed = searching("constraints.max_params=10", blocks=BlockLimits())
    with pytest.raises(ConfigError) as caught:
        check_space(composed.space, composed.checks, composed.constraints, 1)
    assert "no network of the space fits: the smallest found has 20 parameters, 10 more than 10" in str(caught.value)


def test_a_start_over_the_budget_is_no_obstacle() -> None:
    composed = searching("constraints.max_params=3000", blocks=BlockLimits())
    assert check_space(composed.space, composed.checks, composed.constraints, 1).fits
    proposals = train(composed.proposer("evolution"), 8)
    assert len(identities(proposals)) == 8 and all(proposal.params <= 3000 for proposal in proposals)


def test_every_invalid_value_is_found() -> None:
    words = ("model.blocks.conv3.channels=interval(8,24)", "optimizer=sgd,adan", "model.dropout=0,2", "modle.x=1,2")
    composed = searching(*words[:3])
    with pytest.raises(ConfigError) as caught:
        check_space(composed.space, composed.checks, composed.constraints, 1)
    message = str(caught.value)
    assert (
        "model.blocks.conv3.channels: got an interval of real numbers, must be whole ones: int(interval(8,24))"
        in message
    )
    assert "optimizer: got 'adan'" in message and "did you mean adam?" in message
    assert "model.dropout: got 2" in message
    composed = searching("trainer.epocs=1,2")
    with pytest.raises(ConfigError, match="did you mean epochs"):
        check_space(composed.space, composed.checks, composed.constraints, 1)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "evolution", "local_search", "random"])
def test_a_search_goes_on_from_its_journal_as_it_would_have(sampler: str, tmp_path: Path) -> None:
    composed = searching(*MIXED, "constraints.max_params=12000")
    whole = train(composed.proposer(sampler), 24)
    parts = [
        proposal for part in (3, 9, 12) for proposal in train(composed.proposer(sampler, tmp_path / "journal"), part)
    ]
    assert [proposal.overrides for proposal in parts] == [proposal.overrides for proposal in whole]


def test_a_trial_waits_for_the_disk_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proposer = searching(*MIXED).proposer("tpe", tmp_path / "journal")
    train(proposer, 11)
    waits: list[int] = []
    monkeypatch.setattr(os, "fsync", waits.append)
    train(proposer, 4)
    assert len(waits) == 8 and len(open_study(tmp_path / "journal", ["val/accuracy"]).trials) == 15


def test_a_trial_whose_process_died_while_asking_is_given_up(tmp_path: Path) -> None:
    composed = searching(*MIXED)
    train(composed.proposer("tpe", tmp_path / "journal"), 3)
    open_study(tmp_path / "journal", ["val/accuracy"]).ask(composed.space.distributions())  # and no more
    proposer = composed.proposer("tpe", tmp_path / "journal")
    assert proposer.running() == [] and len(train(proposer, 3)) == 3
    assert [trial.state.name for trial in proposer.study.trials] == [*["COMPLETE"] * 3, "FAIL", *["COMPLETE"] * 3]


@pytest.mark.parametrize("end", [b'{"op_code":4,"worker', b"\0\0\0\n"])
def test_a_line_that_a_power_cut_left_damaged_is_cut_off(tmp_path: Path, end: bytes) -> None:
    journal = tmp_path / "journal"
    composed = searching(*MIXED)
    train(composed.proposer("evolution", journal), 3)
    with journal.open("ab") as file:
        file.write(end)
    assert len(train(composed.proposer("evolution", journal), 3)) == 3
    assert all(json.loads(line) for line in journal.read_text().splitlines())


@pytest.mark.parametrize("line", [b"garbage", b"[]", b"{}", b'{"op_code":77}'])
def test_a_journal_that_is_damaged_in_the_middle_is_refused(tmp_path: Path, line: bytes) -> None:
    journal = tmp_path / "journal"
    composed = searching(*MIXED)
    train(composed.proposer("random", journal), 3)
    lines = journal.read_bytes().splitlines()
    journal.write_bytes(b"\n".join([*lines[:5], line, *lines[5:], b""]))
    with pytest.raises(ResumeError, match="journal: damaged: "):
        open_study(journal, ["val/accuracy"])


def test_a_search_is_not_resumed_with_another_space(tmp_path: Path) -> None:
    for words, message in ((MIXED, ""), (SMALL, "other values of model.dropout, .*model.width; restore")):
        composed = searching(*words)
        if not message:
            composed.proposer("random", tmp_path / "journal")
            continue
        with pytest.raises(ResumeError, match=message):
            composed.proposer("random", tmp_path / "journal")


def test_optuna_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its warnings would be errors here."""
    composed = searching(*MIXED)
    for sampler in ("tpe", "nsga2", "gp", "evolution"):
        train(composed.proposer(sampler, tmp_path / sampler), 12)
    assert capfd.readouterr() == ("", "") and not logging.getLogger("optuna").propagate


def test_a_proposal_is_one_entry_of_the_study() -> None:
    composed = searching(blocks=BlockLimits())
    proposer = composed.proposer("evolution")
    (proposal,) = train(proposer, 1)
    (trial,) = proposer.study.get_trials()
    assert list(trial.user_attrs) == ["proposal"] and trial.user_attrs["proposal"]["model"] == proposal.model
    assert trial.state == optuna.trial.TrialState.COMPLETE and trial.value == score(proposal)["val/accuracy"]


@pytest.mark.e2e
def test_proposing_imports_neither_optuna_nor_torch() -> None:
    names = "proposals feasibility planning grammar samplers.simple".split()
    program = (
        f"import {', '.join(f'archsearch.search.{name}' for name in names)}, sys;"
        " sys.exit(any(name in sys.modules for name in ('optuna', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False).returncode == 0
