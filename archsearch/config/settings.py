"""The configuration's fixed groups, typed: everything but the model's own language; `recipe` has how it learns."""

import re
from collections.abc import Mapping
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from archsearch.config.recipe import (
    AUGMENTS,
    AVERAGINGS,
    OPTIMIZERS,
    SCHEDULERS,
    SGD,
    Augment,
    Averaging,
    Initial,
    OneCycle,
    Optimizer,
    Scheduler,
)
from archsearch.config.schema import (
    STRICT,
    Fraction,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    names_of,
    read,
    read_typed,
    show,
)
from archsearch.errors import Problem, did_you_mean

DatasetName = Literal["auto", "mnist", "fashion_mnist", "kmnist", "digits"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DataSettings:
    """Which data set, where it lies, and how many training images are held out to choose models on."""

    name: DatasetName
    root: Annotated[str, Field(min_length=1)]
    validation: NonNegativeInt | None = None  # images; null is one sixth of the training set: 10,000 of MNIST's
    split_seed: NonNegativeInt = 0


def _check_device(device: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise ValueError(f"got {show(device)}, must be auto, cpu, mps, cuda or cuda:<number>")
    return device


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainerSettings:
    """How the network is trained, and on what."""

    epochs: PositiveInt
    batch_size: PositiveInt
    label_smoothing: Fraction = 0.0  # of the training loss: this much of each label is spread over all classes
    eval_batch_size: PositiveInt = 1000
    test_every_epoch: bool = False  # the reference's protocol; without it the test set is evaluated once, at the end
    device: Annotated[str, AfterValidator(_check_device)] = "auto"
    threads: PositiveInt | None = None  # of torch on the CPU; null is torch's own choice
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = True
    fused: bool = True  # on the CPU, in float32 and channels_last: ReLU, batch norm and dropout as one layer
    compile: bool = False
    cuda_graphs: bool = False  # on a GPU of NVIDIA's: forward and backward of a step launched as one


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrackingSettings:
    """Where MLflow records the run. `uri` null is MLFLOW_TRACKING_URI, else SQLite under `outputs/`."""

    enabled: bool = True
    uri: str | None = None
    experiment: Annotated[str, Field(min_length=1)] = "archsearch"
    # Of a trained network: as an MLflow model, as pictures. `auto` is: of a single run, and of a sweep's best run.
    log_model: bool | Literal["auto"] = "auto"
    log_figures: bool | Literal["auto"] = "auto"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Constraints:
    """Budgets that a model must keep to; null is no limit."""

    max_params: PositiveInt | None = None
    max_macs: PositiveInt | None = None
    min_receptive_field: PositiveInt | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SweepSettings:
    """How a multirun's variants are combined, and how they are run beside each other."""

    workers: PositiveInt | None = None  # processes; null is one a CPU core, or `jobs_per_gpu` a GPU
    jobs_per_gpu: PositiveInt = 1
    stack: PositiveInt = 1  # variants that train as one network, at most
    invalid: Literal["stop", "skip"] = "stop"  # what variants that cannot be built do to the others
    retries: NonNegativeInt = 0  # of a run that failed, unless it diverged or took too long
    time_limit: PositiveFloat | None = None  # seconds for one run
    # Settings that move together: [a, b], or several such groups, [[a, b], [c, d]].
    zip: Annotated[tuple[str | tuple[str, ...], ...], Field(strict=False)] = ()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SweepRunSettings:
    """Which run of which sweep this is. Set by the sweep, not by a person."""

    sweep: str
    number: NonNegativeInt
    name: str
    parent: str | None = None  # the sweep's run in MLflow
    run_id: str | None = None  # a run in MLflow that was begun for this run, and left without a checkpoint


@dataclass(frozen=True, kw_only=True, config=STRICT)
class UiSettings:
    port: Annotated[int, Field(ge=1, le=65535)] = 5000


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Top:
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    resume: str | None = None


@plain_dataclass(frozen=True)
class Settings:
    """A configuration's fixed groups, validated: all but `model`."""

    data: DataSettings
    augment: Augment
    optimizer: Optimizer
    scheduler: Scheduler
    averaging: Averaging
    init: Initial
    trainer: TrainerSettings
    tracking: TrackingSettings
    constraints: Constraints
    sweep: SweepSettings
    ui: UiSettings
    seed: int
    resume: str | None
    sweep_run: SweepRunSettings | None = None


def parse_settings(config: Mapping[str, Any]) -> tuple[Settings | None, list[Problem]]:
    """Read a composed configuration of plain values. Returns the settings, or None and every problem found."""
    problems: list[Problem] = []
    sections: dict[str, Any] = {}

    def take(section: str, result: tuple[Any, list[Problem]]) -> None:
        sections[section], found = result
        problems.extend(found)

    for section, fixed in _FIXED.items():
        take(section, read(fixed, config.get(section), section))
    for section, registry in _TYPED.items():
        take(section, read_typed(registry, config.get(section), section))
    top, found = read(_Top, {key: config.get(key) for key in names_of(_Top)}, "")
    problems += found
    sweep_run = None
    if config.get("sweep_run") is not None:
        sweep_run, found = read(SweepRunSettings, config["sweep_run"], "sweep_run")
        problems += found
    known = (*_FIXED, *_TYPED, *names_of(_Top), "model", "sweep_run")
    problems += [
        Problem(str(key), f"unknown setting{did_you_mean(str(key), known)}") for key in config if key not in known
    ]
    scheduler, optimizer = sections["scheduler"], sections["optimizer"]
    cycles = isinstance(scheduler, OneCycle) and scheduler.cycle_momentum
    if cycles and isinstance(optimizer, SGD) and not optimizer.momentum:
        rule = "got true, but optimizer.momentum is 0: set a momentum, or scheduler.cycle_momentum=false"
        problems.append(Problem("scheduler.cycle_momentum", rule))
    if problems or top is None:
        return None, problems
    return Settings(**sections, seed=top.seed, resume=top.resume, sweep_run=sweep_run), []


_FIXED: dict[str, type] = {
    "data": DataSettings,
    "init": Initial,
    "trainer": TrainerSettings,
    "tracking": TrackingSettings,
    "constraints": Constraints,
    "sweep": SweepSettings,
    "ui": UiSettings,
}
_TYPED: dict[str, Mapping[str, type]] = {
    "augment": AUGMENTS,
    "optimizer": OPTIMIZERS,
    "scheduler": SCHEDULERS,
    "averaging": AVERAGINGS,
}
