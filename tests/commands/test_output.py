"""Where the output of a command goes cannot end it badly: a pipe that is closed, a full disk."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sweeps import TINY, states_of

pytestmark = pytest.mark.e2e

COMMANDS = [
    ("archsearch.check", "model=session4"),
    ("archsearch.report", "--help"),
    ("archsearch.schema", "model"),
    ("archsearch", "--help"),
    ("archsearch", "help", "optimizer"),
]


def ran(arguments: tuple[str, ...], workspace: Path, stdout: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=workspace, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_closed_pipe_is_no_error(workspace: Path, arguments: tuple[str, ...]) -> None:
    process = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    process.wait()
    assert process.stdin is not None
    with process.stdin as pipe:  # which nobody reads
        done = ran(arguments, workspace, pipe.fileno())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_full_disk_is_one_line(workspace: Path, arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = ran(arguments, workspace, full.fileno())
    assert done.returncode == 2
    assert done.stderr == "archsearch: the output is incomplete: No space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize(
    "closed", [*(pytest.param(stream, marks=pytest.mark.slow) for stream in (">&-", "2>&-")), ">&- 2>&- <&-"]
)
def test_a_sweep_trains_with_closed_streams(workspace: Path, closed: str) -> None:
    settings = " ".join([*TINY, "trainer.epochs=1", "tracking=none", "seed=1,2", "sweep.workers=1"])
    command = f"{shlex.quote(sys.executable)} -m archsearch -m {settings} {closed}"
    assert subprocess.run(command, shell=True, cwd=workspace, capture_output=True, check=False).returncode == 0
    assert set(states_of(workspace).values()) == {"FINISHED"}
