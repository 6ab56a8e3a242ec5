"""Runs for the tests of reports that were never trained: in memory, or as folders."""

import json
from collections.abc import Mapping, Sequence
from hashlib import md5
from itertools import count, product
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from archsearch.report.study import Study, StudyRun, studies_of
from archsearch.sweep.record import Entry, SweepRecord
from tests.support.requests import ask

_NUMBERS = count()


def study_run(seed: int = 1, validation: float | None = 99.2, **more: Any) -> StudyRun:
    """A finished run of session4 on MNIST; keywords with `__` are settings (`model__dropout="0.1"`)."""
    number = next(_NUMBERS)
    settings = {
        "model": "session4",
        "data.split_seed": "0",
        **{key.replace("__", "."): str(value) for key, value in more.items() if "__" in key},
    }
    values: dict[str, Any] = {
        "run_id": f"{number:032x}",
        "name": f"run {number}",
        "state": "FINISHED",
        "started": f"2026-01-01T00:{number // 60 % 60:02}:{number % 60:02}",
        "seed": seed,
        "settings": settings,
        "data": "mnist",
        "fingerprint": "1aacd4202d115f2d",
        "params": 12_954,
        "macs": 2_605_712,
        "validation": validation,
        "best": validation,
        "test": None if validation is None else validation + 0.1,
        "epoch_seconds": 30.0,
    }
    return StudyRun(**values | {key: value for key, value in more.items() if "__" not in key})


def replicates(scores: Mapping[Any, Sequence[float]], setting: str = "model__dropout", **more: Any) -> list[StudyRun]:
    """Runs by the value of a setting: the validation accuracies of seeds 1, 2, ..."""
    return [
        study_run(seed, score, **{setting: value}, **more)
        for value, accuracies in scores.items()
        for seed, score in enumerate(accuracies, 1)
    ]


def study(scores: Mapping[Any, Sequence[float]], setting: str = "model__dropout", **more: Any) -> Study:
    """The study of `replicates`."""
    (result,) = studies_of(replicates(scores, setting, **more))
    return result


def draws(mean: float, n: int, seed: int, sd: float = 0.06) -> list[float]:
    """Random accuracies of `n` seeds, rounded as on 10,000 images."""
    return [float(score) for score in np.round(np.random.default_rng(seed).normal(mean, sd, n), 2)]


def write_run(
    folder: Path, *overrides: str, seed: int = 1, val: float = 99.2, test: float = 99.4, right: Sequence[bool] = (),
    **more: Any,
) -> Path:  # fmt: skip
    """Write a run's folder like training on `digits` does. `right` says which predictions are correct."""
    request = ask("data=digits", *overrides)
    config = {**request.config, "seed": seed}
    folder.mkdir(parents=True)
    final = {"epoch": 2, "val/accuracy": val, "test/accuracy": test}
    result: dict[str, Any] = {
        "run_id": md5(str(folder).encode()).hexdigest(), "name": f"{folder.name}", "state": "FINISHED", "seed": seed,
        "started": "2026-01-01T00:00:00+00:00", "data": {"name": "digits", "fingerprint": "-", "fallback": None},
        "choices": dict(request.choices), "params": 1000, "macs": 2000, "receptive_field": 20, "epochs_trained": 2,
        "final": final, "best": final, "seconds": 3.0, "tracking": {"uri": None}, "sweep_run": None, **more,
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    if right:
        rows = [f"{index},{index % 10},{(index + (not is_right)) % 10},0.9" for index, is_right in enumerate(right)]
        (folder / "predictions.csv").write_text("\n".join(["index,label,prediction,confidence", *rows]) + "\n")
    return folder


def write_sweep(folder: Path, grid: Mapping[str, Sequence[str]], started: str = "2026-01-01", **more: Any) -> Path:
    """Write a sweep's folder with one run per combination of `grid`; keywords are for `write_run`."""
    values = [dict(zip(grid, combination, strict=True)) for combination in product(*grid.values())]
    entries = [
        Entry(number, str(number), f"run {number}", value, [f"{k}={v}" for k, v in value.items()], f"{number}", "READY")
        for number, value in enumerate(values)
    ]
    for number, value in enumerate(values):
        overrides = [f"{name}={setting}" for name, setting in value.items() if name != "seed"]
        seed = int(value.get("seed", "1"))
        options = {"val": 99.0 - 0.1 * number + 0.01 * seed, "overrides": [*overrides, f"seed={seed}"], **more}
        write_run(folder / str(number), *overrides, seed=seed, **options)
    overrides = [f"{name}={','.join(settings)}" for name, settings in grid.items()]
    record = SweepRecord(
        overrides, f"{folder.name}-0", list(grid), entries, "FINISHED", started, tracking={"uri": None}
    )
    record.write(folder)
    return folder
