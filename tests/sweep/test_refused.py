"""Command lines of sweeps that are refused, or interrupted, before anything trains."""

from pathlib import Path

import pytest

from tests.support.command_line import Command
from tests.support.sweeps import TINY

SEEDS = ("-m", "seed=1,2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "resume=last"), "resume=last: no sweep under outputs/"),
        (("-m", "resume=nothing"), "resume=nothing: no sweep of this name"),
        (("-m", "resume="), "resume= is empty"),
        ((*SEEDS, "hydra.sweep.subdir=x"), "gives runs 0 and 1 the same folder 'x'"),
        ((*SEEDS, "hydra.sweep.subdir="), "hydra.sweep.subdir: got '', must be a folder inside the sweep's folder"),
        ((*SEEDS, "hydra.sweep.subdir=../../../x/${hydra.job.num}"), "got '../../../x/0', must be a folder inside"),
        ((*SEEDS, "hydra.sweep.subdir=/tmp/x/${hydra.job.num}"), "got '/tmp/x/0', must be a folder inside"),
        (("-m", "seed=range(0,1,0)"), "seed: got range(0,1,0), which has a step of 0"),
        (("-m", "seed=range(5,1)"), "seed: got range(5,1), which has no values"),
        (("-m", "model=glob(nothing*)"), "model: got glob(nothing*), which no option matches; there are all_cnn_c,"),
        (
            ("-m", "model.head.type=linear,[gap]"),
            "model.head.type: got ['gap'], must be one of linear, gap, conv, none",
        ),
        (("-m", "model.width=1,1e308"), "model.width: got 1e+308, must be at most"),
        (("-m", "seed=range(0,1000000)"), "seed: got range(0,1000000), which has 1,000,000 values, more than"),
        ((*SEEDS, "trainer.device=cuda:1"), "must be cuda in a sweep; choose its GPUs with CUDA_VISIBLE_DEVICES"),
        ((*SEEDS, "overwrite=true"), "overwrite: got true, must be false in a sweep"),
        (("-m", "model.width=5,6", "constraints.max_params=10"), "no run can be trained"),
        ((*SEEDS, "data=mnist", "data.root=/nowhere/at/all"), "data=mnist: MNIST is not on disk"),
        ((*SEEDS, "hydra.sweep.dir=/proc/nowhere", *TINY, "tracking=none"), "/proc/nowhere"),
        ((*SEEDS, "tracking.uri=http://127.0.0.1:9", *TINY), "http://127.0.0.1:9 does not answer"),
        (
            (*SEEDS, *TINY, "sweep.stack=2", "hydra/launcher=basic"),
            "sweep.stack: got 2, must be 1 unless hydra/launcher=archsearch",
        ),
        (
            (*SEEDS, "hydra/launcher=ray", "hydra.launcher._target_=hydra_plugins.missing.it.It"),
            "hydra/launcher: got ray, but its package is not installed; run pip install 'archsearch[ray]'",
        ),
    ],
)
def test_a_refused_sweep_leaves_nothing(
    command: Command, workspace: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = command(*arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not list(workspace.iterdir())


@pytest.mark.parametrize(
    ("step", "line"),
    [
        ("plan_sweep", "nothing was begun"),
        ("open_store", "nothing was begun"),
        ("open_parent", "resume   python -m archsearch -m resume=a  trains the remaining runs"),
    ],
)
def test_a_sweep_that_is_interrupted_as_it_starts_says_what_is_there(
    command: Command, workspace: Path, monkeypatch: pytest.MonkeyPatch, step: str, line: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"archsearch.sweep.sweeper.{step}", interrupt)
        done = command(*SEEDS, *TINY, "tracking=none", "hydra.sweep.dir=outputs/sweeps/a")
    assert (done.returncode, done.stderr) == (130, "archsearch: interrupted\n")
    assert done.stdout.splitlines()[-1] == line
    assert (workspace / "outputs").exists() == line.startswith("resume")
