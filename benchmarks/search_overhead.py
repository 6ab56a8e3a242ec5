#!/usr/bin/env python3
"""What a search costs beyond training: milliseconds a trial, at the beginning and at the end.

usage: python benchmarks/search_overhead.py [--trials 2000] [--samplers evolution,tpe,tpe_accuracy,random]

Nothing is trained: every step of a trial ends at once, with a made-up accuracy. All else is real: proposals, checks by
arithmetic, Optuna's journal on disk, and asynchronous halving. The objectives are accuracy and parameters; those of
`tpe_accuracy` are accuracy alone.
"""

import itertools
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import machine
from arguments import parser_of_benchmark
from results_file import output_path, write_results
from runner import Table
from summary import Row, target

WORDS = {
    "evolution": ["search.space=blocks"],
    "tpe": ["space=small_mnist", "search.sampler=tpe"],
    "tpe_accuracy": ["space=small_mnist", "search.sampler=tpe"],
    "random": ["space=small_mnist", "search.sampler=random"],
}
COMMON = ["-m", "hydra/sweeper=search", "data=mnist"]
OBJECTIVES = {"tpe_accuracy": "val/accuracy"}  # of the others: accuracy and parameters
METRICS = ("first_ms", "last_ms", "seconds")
TARGET_MS = 50.0


def main(argv: Sequence[str] | None = None) -> None:
    """Search with each sampler; print and write the milliseconds a trial."""
    parser = parser_of_benchmark(__doc__, rounds=1)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--samplers", default=",".join(WORDS))
    options = parser.parse_args(argv)
    names = options.samplers.split(",")
    if not set(names) <= set(WORDS):
        parser.error(f"--samplers: got {options.samplers}, must be any of {', '.join(WORDS)}")
    output = output_path(parser, options.output, "search_overhead", trial=options.trials != 2000)
    load = machine.load_before()
    table = Table({name: [search(name, options.trials)] for name in names})
    targets = []
    for name in names:
        row = table.rows[name][0]
        print(f"{name:12} {row['first_ms']:6.1f} ms a trial at the beginning, {row['last_ms']:6.1f} ms at the end")
        targets.append(target(f"{name}: ms a trial at the end", row["last_ms"], TARGET_MS))
    write_results(output, {"trials": options.trials, "load_before": load}, table, METRICS, targets=targets)


def search(name: str, trials: int) -> Row:
    """Search with one sampler; returns the mean milliseconds of the first and of the last tenth of the trials."""
    from archsearch.compose.composition import composed_sweep
    from archsearch.compose.overrides import complete_arguments
    from archsearch.compose.validate import named_dataset
    from archsearch.config.search import Budget
    from archsearch.search.loop import SearchLoop
    from archsearch.search.proposals import Proposal, Proposer
    from archsearch.search.setup import plan_search
    from archsearch.search.spending import Spending
    from archsearch.search.storage import open_study
    from archsearch.sweep.worker import Job

    chance, moments = Random(0), [time.perf_counter()]
    objectives = f"search.objectives=[{OBJECTIVES.get(name, 'val/accuracy,params')}]"
    with (
        tempfile.TemporaryDirectory() as scratch,
        composed_sweep(complete_arguments([*COMMON, *WORDS[name], objectives])) as (loader, master),
    ):
        folder = Path(scratch)
        planned = plan_search(loader, master, named_dataset)
        study = open_study(folder / "study.log", planned.search.objectives)
        proposer = Proposer(
            study, planned.space, planned.checks, sampler=planned.sampler, objectives=planned.search.objectives
        )
        proposals: dict[int, Proposal] = {}

        def job(proposal: Proposal, until: int) -> Job:
            proposals[proposal.number] = proposal
            return Job(proposal.number, None, folder, until)  # type: ignore[arg-type]

        loop = SearchLoop(
            proposer,
            planned.stopping(),
            planned.settings.trainer.epochs,
            Spending(Budget(trials=trials)),
            lambda number: folder / str(number),
            job,
            lambda _: moments.append(time.perf_counter()),
        )
        while (team := loop.next_team()) is not None:
            (step,) = team
            loop.ended(step, _ended(step.number, step.until or 0, loop.epochs, proposals[step.number], chance))
    milliseconds = [1000 * (b - a) for a, b in itertools.pairwise(moments)]
    tenth = len(milliseconds) // 10
    return {
        "first_ms": statistics.fmean(milliseconds[:tenth]),
        "last_ms": statistics.fmean(milliseconds[-tenth:]),
        "seconds": moments[-1] - moments[0],
    }


def _ended(number: int, until: int, epochs: int, proposal: Any, chance: Random) -> Any:
    from archsearch.sweep.worker import AttemptEnd

    history = [
        {"epoch": epoch, "val/accuracy": 90 + chance.random(), "val/loss": 0.1, "seconds": 1.0}
        for epoch in range(1, until + 1)
    ]
    result = {"history": history, "epochs_trained": until, "params": proposal.params, "macs": proposal.macs}
    return AttemptEnd(number, "FINISHED" if until == epochs else "STOPPED", result=result)


if __name__ == "__main__":
    main()
