#!/usr/bin/env python3
"""What early stopping saves, and what it loses, on learning curves of networks that were trained once.

usage: python benchmarks/early_stopping.py --write mnist_20000.npz   # a third of MNIST: trains on half of it
       python benchmarks/early_stopping.py --train FOLDER            # trains 200 networks of space=small_mnist on it
       python benchmarks/early_stopping.py                           # seconds: stops them early, on paper

The curves are in results/learning_curves.json. Each of 20 repeats draws another order of the networks. Random search
trains the first 60 fully; asynchronous halving takes them in the same order, until a network that it has trained fully
is as accurate as the best of the 60, within 0.05 points. With accuracy and parameters as objectives, both take all 200,
and are compared by hypervolume: at the end, and by the epochs that they need for 99 % of what all networks have. So is
Syne Tune's MOASHA, where that is installed (benchmarks/requirements.txt). Accuracies are those on held-out images; a
network counts with that of its last epoch.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from statistics import fmean, stdev

import numpy as np
from arguments import data_root, parser_of
from results_file import RESULTS, output_path, write_results
from runner import Table
from summary import Row, target

from archsearch.data.catalogue import DATASETS
from archsearch.data.load import load
from archsearch.search.hypervolume import hypervolume
from archsearch.search.stopping import Halving, Standing, Stopping, rungs_of
from archsearch.system.atomic import replacing, write_text

CURVES = RESULTS / "learning_curves.json"
IMAGES = ["data=arrays", "data.path=mnist_20000.npz"]
NETWORKS, EPOCHS, RANDOM = 200, 8, 60
WORKERS, REPEATS = 2, 20
TOLERANCE = 0.05  # points of accuracy
FULL_TRAININGS = 70
ENOUGH = 0.99  # of the hypervolume of all networks


@dataclass(frozen=True)
class Curve:
    """A network's parameters, and its accuracy on held-out images after each epoch, in percent."""

    params: int
    accuracies: tuple[float, ...]

    @property
    def losses(self) -> tuple[float, float]:
        """What is minimised: errors in percent, and parameters."""
        return 100 - self.accuracies[-1], float(self.params)


def main(argv: Sequence[str] | None = None) -> None:
    """Train the networks, or stop them early on paper."""
    parser = parser_of(__doc__)
    parser.add_argument("--write", metavar="FILE", type=Path, help="write the images for the training, and end")
    parser.add_argument("--train", metavar="FOLDER", type=Path, help="train the networks in this folder, or go on")
    parser.add_argument("--settings", nargs="*", default=IMAGES, help="of the training, beside the space")
    parser.add_argument("--networks", type=int, default=NETWORKS, help="how many to train, or to take of the curves")
    parser.add_argument("--min-epochs", type=int, default=1, help="before halving can stop a network")
    parser.add_argument("--reduction", type=int, default=3, help="halving lets one network in so many train on")
    parser.add_argument("--curves", type=Path, default=CURVES)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args(argv)
    if arguments.write is not None:
        write_images(arguments.write)
        return
    if arguments.train is not None:
        train(arguments.train, arguments.networks, arguments.settings, arguments.curves)
        return
    path = output_path(
        parser,
        arguments.output,
        "early_stopping",
        trial=arguments.curves != CURVES
        or (arguments.networks, arguments.min_epochs, arguments.reduction) != (NETWORKS, 1, 3),
    )
    content = json.loads(arguments.curves.read_text())
    chosen = [row for row in content["networks"] if row["trial"] < arguments.networks]
    curves = [Curve(row["params"], tuple(row["accuracies"])) for row in chosen]
    rungs = rungs_of(arguments.min_epochs, len(curves[0].accuracies), arguments.reduction)
    rows = [repeat(curves, number, lambda: Halving(rungs, arguments.reduction)) for number in range(REPEATS)]
    names = list(rows[0])
    means = {name: fmean(row[name] for row in rows) for name in names}
    errors = {name: stdev([row[name] for row in rows]) / REPEATS**0.5 for name in names}
    for name in names:
        print(f"{name:62} {means[name]:8.3f} +- {1.96 * errors[name]:.3f}")
    targets = [
        target("epochs to the best of random search, as a part of its epochs", means["epochs of random's best"], 1 / 3),
        target("full trainings to .99 of the hypervolume", means["halving: full trainings to enough"], FULL_TRAININGS),
        target("full trainings to the end", means["halving: full trainings"], FULL_TRAININGS),
        target(
            "part of the hypervolume of all networks at the end", means["halving: hypervolume"], ENOUGH, at_least=True
        ),
    ]
    settings = {"networks": len(curves), "repeats": REPEATS, "workers": WORKERS, "training": content["settings"]}
    write_results(path, settings, Table({"early_stopping": rows}), names, targets=targets)


def write_images(path: Path) -> None:
    """Write 10,000 of MNIST's training images, 10,000 others to judge on, and the test set, for `data=arrays`."""
    data = load(DATASETS["mnist"], data_root())
    order = np.random.default_rng(0).permutation(len(data.train_labels))
    images, labels = data.train_images[:, 0], data.train_labels
    chosen, judges = order[:10_000], order[10_000:20_000]
    with replacing(path) as scratch, open(scratch, "wb") as file:
        np.savez(
            file,
            images=images[chosen], labels=labels[chosen], val_images=images[judges], val_labels=labels[judges],
            test_images=data.test_images[:, 0], test_labels=data.test_labels,
        )  # fmt: skip


def train(folder: Path, networks: int, settings: Sequence[str], curves: Path) -> None:
    """Train random networks of the space, all to the end, and write their curves."""
    import archsearch

    words = [
        "space=small_mnist", "search.sampler=random", "search.stopping=none", f"search.budget.trials={networks}",
        "search.finalists=0", f"trainer.epochs={EPOCHS}", "tracking=none", "tracking.log_figures=false", *settings,
    ]  # fmt: skip
    begun = (folder / "sweep.json").exists()
    archsearch.run_search(*(["resume=" + str(folder)] if begun else [*words, f"hydra.sweep.dir={folder}"]))
    results = {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("[0-9]*/result.json"))}
    rows = [
        {
            "trial": int(name),
            "params": result["params"],
            "accuracies": [round(epoch["val/accuracy"], 3) for epoch in result["history"]],
        }
        for name, result in results.items()
        if result["state"] == "FINISHED"
    ]
    write_text(curves, json.dumps({"settings": words, "networks": rows}) + "\n")
    print(f"{len(rows)} curves in {curves.name}")


def repeat(curves: Sequence[Curve], number: int, halving: Callable[[], Stopping]) -> Row:
    """One order of the networks: what halving saves and loses against training fully."""
    order = Random(number).sample(list(curves), len(curves))
    epochs = len(order[0].accuracies)
    best = max(curve.accuracies[-1] for curve in order[:RANDOM])
    events = list(stopped(order, halving(), WORKERS))
    reaching = (spent for spent, curve in events if curve.accuracies[-1] >= best - TOLERANCE)
    first = next(reaching, None)
    spent = events[-1][0] + RANDOM * epochs if first is None else first  # without it, the 60 must be trained after all
    whole = losses_of(order)
    reference = whole.max(axis=0)
    of_all = hypervolume(whole, reference)
    row: Row = {"epochs of random's best": spent / (RANDOM * epochs), "random's best is missed": float(first is None)}
    rules: dict[str, Callable[[], Iterator[tuple[int, Curve]]]] = {
        "random": lambda: ((count * epochs, curve) for count, curve in enumerate(order, 1)),
        "halving": lambda: stopped(order, halving(), WORKERS, has_costs=True),
    }
    if has_syne_tune():
        rules["MOASHA"] = lambda: stopped_by_moasha(order, number)
    for name, rule in rules.items():
        outcomes = list(rule())
        parts = [
            hypervolume(losses_of([curve for _, curve in outcomes[:count]]), reference) / of_all
            for count in range(1, len(outcomes) + 1)
        ]
        enough = (spent for (spent, _), part in zip(outcomes, parts, strict=True) if part >= ENOUGH)
        # Without enough, all networks must be trained after all.
        row[f"{name}: full trainings to enough"] = next(enough, outcomes[-1][0] + len(order) * epochs) / epochs
        row[f"{name}: full trainings"] = outcomes[-1][0] / epochs
        row[f"{name}: hypervolume"] = parts[-1]
    return row


def losses_of(curves: Sequence[Curve]) -> np.ndarray:
    """The losses (networks, 2) of networks that are fully trained."""
    return np.array([curve.losses for curve in curves])


def stopped(
    order: Sequence[Curve], stopping: Stopping, workers: int, *, has_costs: bool = False
) -> Iterator[tuple[int, Curve]]:
    """Train on paper, each epoch as long as the others. Yields the networks that are fully trained, and the epochs
    that all of them have taken until then.
    """
    new = iter(range(len(order)))
    reached = dict.fromkeys(range(len(order)), 0)
    training: list[tuple[int, int, int]] = []  # when it ends, the network, and the epoch at which it does
    now = spent = 0
    while True:
        while len(training) < workers:
            step = stopping.next_step()
            number = next(new, None) if step is None else step.trial
            if number is None:
                step = stopping.next_step(is_last=not training)
                number = None if step is None else step.trial
            if number is None:
                break
            until = stopping.rungs[0] if step is None else step.until
            heappush(training, (now + until - reached[number], number, until))
        if not training:
            return
        now, number, until = heappop(training)
        spent += until - reached[number]
        reached[number] = until
        curve = order[number]
        if until == stopping.rungs[-1]:
            yield spent, curve
        else:
            costs = (float(curve.params),) if has_costs else ()
            stopping.record(number, until, Standing(curve.accuracies[until - 1], costs))


def has_syne_tune() -> bool:
    """Whether Syne Tune can be imported."""
    try:
        import syne_tune.optimizer.schedulers.multiobjective.moasha  # noqa: F401
    except ImportError:
        return False
    return True


def stopped_by_moasha(order: Sequence[Curve], seed: int) -> Iterator[tuple[int, Curve]]:
    """The same with Syne Tune's scheduler, which stops a trial on its rung or never; one worker, as order is all."""
    from datetime import datetime

    from syne_tune.backend.trial_status import Trial
    from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

    np.random.seed(seed)  # it draws from there
    epochs = len(order[0].accuracies)
    scheduler = MOASHA({}, ["error", "params"], time_attr="epoch", max_t=epochs, reduction_factor=3, random_seed=seed)
    spent = 0
    for number, curve in enumerate(order):
        trial = Trial(number, {}, datetime.now())  # not used
        scheduler.on_trial_add(trial)
        for epoch, accuracy in enumerate(curve.accuracies, 1):
            spent += 1
            result = {"error": 100 - accuracy, "params": curve.params, "epoch": epoch}
            if epoch == epochs:
                yield spent, curve
            elif scheduler.on_trial_result(trial, result) == "STOP":
                break


if __name__ == "__main__":
    main()
