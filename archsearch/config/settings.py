"""The settings of all groups but `model`, typed. `recipe` has those that say how a network learns."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from archsearch.config.recipe import Augment, Averaging, Initial, Optimizer, Scheduler
from archsearch.config.schema import STRICT, Fraction, NonNegativeInt, PositiveFloat, PositiveInt, read, show
from archsearch.errors import Problem

DatasetName = Literal["auto", "mnist", "fashion_mnist", "kmnist", "digits"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DataSettings:
    """The data set, its folder, and how many training images are held out for choosing models."""

    name: DatasetName
    root: Annotated[str, Field(min_length=1)]
    validation: NonNegativeInt | None = None  # images; null holds out one sixth of the training set, 10,000 of MNIST's
    split_seed: NonNegativeInt = 0


def _check_device(device: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise ValueError(f"got {show(device)}, must be auto, cpu, mps, cuda or cuda:<number>")
    return device


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainerSettings:
    """How the network is trained, and on which device."""

    epochs: PositiveInt
    batch_size: PositiveInt
    label_smoothing: Fraction = 0.0  # the share of each label that the training loss spreads over all classes
    eval_batch_size: PositiveInt = 1000
    test_every_epoch: bool = False  # the reference's protocol; otherwise the test set is evaluated once, after training
    device: Annotated[str, AfterValidator(_check_device)] = "auto"
    threads: PositiveInt | None = None  # torch's on the CPU; null leaves the number to torch
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = True
    fused: bool = True  # on the CPU in float32 and channels_last, compute ReLU, batch norm and dropout as one layer
    compile: bool = False
    cuda_graphs: bool = False  # on an NVIDIA GPU, launch forward and backward of a step as one graph


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrackingSettings:
    """Where MLflow records runs. `uri: null` means MLFLOW_TRACKING_URI, or else SQLite under `outputs/`."""

    enabled: bool = True
    uri: str | None = None
    experiment: Annotated[str, Field(min_length=1)] = "archsearch"
    # Whether the trained network and its pictures are logged; `auto` does so for single runs and a sweep's best run.
    log_model: bool | Literal["auto"] = "auto"
    log_figures: bool | Literal["auto"] = "auto"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Constraints:
    """Limits that a model must respect; null is no limit."""

    max_params: PositiveInt | None = None
    max_macs: PositiveInt | None = None
    min_receptive_field: PositiveInt | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SweepSettings:
    """How the runs of a multirun are combined and distributed."""

    workers: PositiveInt | None = None  # processes; null starts one per CPU core, or `jobs_per_gpu` per GPU
    jobs_per_gpu: PositiveInt = 1
    stack: PositiveInt = 1  # runs that train as one network, at most
    invalid: Literal["stop", "skip"] = "stop"  # what happens to the sweep if some runs cannot be built
    retries: NonNegativeInt = 0  # of a run that failed, unless it diverged or took too long
    time_limit: PositiveFloat | None = None  # seconds for one run
    # Settings that vary together: [a, b], or several such groups, [[a, b], [c, d]].
    zip: Annotated[tuple[str | tuple[str, ...], ...], Field(strict=False)] = ()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SweepRunSettings:
    """Which run of which sweep this is. Set by the sweep, not by a person."""

    sweep: str
    number: NonNegativeInt
    name: str
    parent: str | None = None  # the sweep's own run in MLflow
    run_id: str | None = None  # an MLflow run that an earlier attempt began and left without a checkpoint


@dataclass(frozen=True, kw_only=True, config=STRICT)
class UiSettings:
    port: Annotated[int, Field(ge=1, le=65535)] = 5000


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Settings:
    """A configuration's settings, validated: all groups but `model`."""

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
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    resume: str | None = None
    sweep_run: SweepRunSettings | None = None


def parse_settings(config: Mapping[str, Any]) -> tuple[Settings | None, list[Problem]]:
    """Read a composed configuration of plain values. Returns the settings, or None and every problem found."""
    groups = {key: value for key, value in config.items() if key != "model"}
    settings, problems = read(Settings, groups, "")
    problems += _check_cycle_momentum(config.get("scheduler"), config.get("optimizer"))
    return (None if problems else settings), problems


def _check_cycle_momentum(scheduler: Any, optimizer: Any) -> list[Problem]:
    """A cycle of SGD's momentum needs a momentum. The groups are plain values, which may be invalid."""
    if not isinstance(scheduler, Mapping) or not isinstance(optimizer, Mapping):
        return []
    cycles = scheduler.get("type") == "one_cycle" and scheduler.get("cycle_momentum", True) is True
    if not cycles or optimizer.get("type") != "sgd" or optimizer.get("momentum", 0.0) != 0:
        return []
    rule = "got true, but optimizer.momentum is 0: set a momentum, or scheduler.cycle_momentum=false"
    return [Problem("scheduler.cycle_momentum", rule)]
