"""A journal that several processes ask and tell at once, and that goes on when one of them is killed."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from archsearch.search.storage import open_study
from tests.support.processes import REPOSITORY, wait_until

pytestmark = pytest.mark.e2e

PROGRAM = """
import sys
from functools import partial
from pathlib import Path
from tests.support.searches import MIXED, searching, train
composed = searching(*MIXED, "constraints.max_params=12000")
train(composed.proposer(sys.argv[2], Path(sys.argv[1])), int(sys.argv[3]))
"""


def start(journal: Path, sampler: str, trials: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(journal), sampler, str(trials)], cwd=REPOSITORY)


def has_more_proposals(journal: Path, number: int) -> bool:
    return journal.exists() and journal.read_bytes().count(b'"proposal"') > number


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "evolution", "local_search"])
def test_two_processes_propose_different_networks(tmp_path: Path, sampler: str) -> None:
    journal = tmp_path / "journal"
    processes = [start(journal, sampler, 20) for _ in range(2)]
    assert [process.wait(240) for process in processes] == [0, 0]
    trials = [trial for trial in open_study(journal, ["val/accuracy"]).trials if "proposal" in trial.user_attrs]
    assert len(trials) == 40 == len({trial.user_attrs["proposal"]["identity"] for trial in trials})
    assert all(trial.state.name == "COMPLETE" for trial in trials)


def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    for before in (2, 5, 9):
        process = start(journal, "tpe", 1000)
        wait_until(partial(has_more_proposals, journal, before), 240)
        process.kill()
        assert process.wait() != 0
    assert start(journal, "tpe", 10).wait(240) == 0
    trials = open_study(journal, ["val/accuracy"]).trials
    proposals = [trial for trial in trials if "proposal" in trial.user_attrs]
    assert len({trial.user_attrs["proposal"]["identity"] for trial in proposals}) == len(proposals) >= 20
    assert sum(trial.state.name == "RUNNING" for trial in trials) <= 3  # those that were being trained
