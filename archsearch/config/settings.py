"""The settings of all groups but `model`, typed. `recipe` has those that say how a network learns."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from archsearch.config.augment import Augment
from archsearch.config.recipe import Averaging, Initial, Optimizer, Scheduler
from archsearch.config.schema import (
    STRICT,
    Fraction,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Workers,
    format_value,
    read,
)
from archsearch.config.search import SearchSettings, SpaceSettings
from archsearch.errors import Problem

_DEVICE = r"auto|cpu|mps|cuda(:[0-9]{1,3})?"
Side = Annotated[int, Field(ge=1, le=4096)]  # of an image

# The setting that says where a data set is, the one that does not, and what it says.
_PLACES = {
    "image_folder": ("root", "path", "the folder with a folder of images for each class"),
    "arrays": ("path", "root", "a .npz file, or a folder with files in MNIST's format"),
    "parquet": ("path", "root", "a Parquet file, or a folder with some"),
}
_LONGEST_NAME = 250  # characters, so that every database of MLflow takes it

DatasetName = Literal[
    "auto",
    "mnist",
    "fashion_mnist",
    "kmnist",
    "emnist_balanced",
    "emnist_letters",
    "cifar10",
    "cifar100",
    "svhn",
    "digits",
    "image_folder",
    "arrays",
    "parquet",
]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DataSettings:
    """The data set, its folder, and how many training images are held out for choosing models."""

    name: DatasetName
    """the data set; auto is MNIST, or digits where MNIST cannot be had"""
    root: str = ""
    """the folder of the data sets (default: ARCHSEARCH_DATA, else data); of data=image_folder, that of the images"""
    path: str | None = None
    """the file or folder of data=arrays and data=parquet"""
    size: Side | Annotated[tuple[Side, Side], Field(strict=False)] | None = None
    """height and width to which images of image_folder and parquet are scaled and cropped; null is their own"""
    channels: Literal[1, 3] | None = None
    """grey (1) or colour (3), for image_folder and parquet; null is grey if all images are"""
    validation: NonNegativeInt | None = None
    """images held out for choosing models; null is one sixth, 10,000 of MNIST's"""
    split_seed: NonNegativeInt = 0
    """selects which images are held out"""


def _check_data(data: Any) -> list[Problem]:
    """Each kind of data set has its own place, and only files of images are converted. `data` are plain values."""
    if not isinstance(data, Mapping):
        return []
    name, problems = data.get("name"), []
    place, other, meaning = _PLACES.get(str(name), ("root", "path", "the folder of the data sets"))
    if data.get(place) in (None, ""):
        problems.append(Problem(f"data.{place}", f"got {format_value(data.get(place))}, must be {meaning}"))
    if data.get(other) not in (None, ""):
        rule = f"must be left out: data.{place} names {meaning} for data={name}"
        problems.append(Problem(f"data.{other}", f"got {format_value(data[other])}, {rule}"))
    for key in ("size", "channels"):
        if name not in ("image_folder", "parquet") and data.get(key) is not None:
            rule = f"must be null: data={name} has images of one shape, which are not converted"
            problems.append(Problem(f"data.{key}", f"got {format_value(data[key])}, {rule}"))
    return problems


def _check_device(device: str) -> str:
    if not re.fullmatch(_DEVICE, device):
        raise ValueError(f"got {format_value(device)}, must be auto, cpu, mps, cuda or cuda:<number>")
    return device


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainerSettings:
    """How the network is trained, and on which device."""

    epochs: PositiveInt
    """passes over the training images"""
    batch_size: PositiveInt
    """images per training step"""
    label_smoothing: Fraction = 0.0
    """share of each label that the training loss spreads over all classes"""
    class_weights: Literal["balanced"] | None = None
    """null, or balanced: images of rare classes count more in the training loss, so that all classes count alike"""
    eval_batch_size: PositiveInt = 1000
    """images per evaluation step"""
    test_every_epoch: bool = False
    """evaluate the test set after each epoch (the reference's protocol), not only once"""
    device: Annotated[str, AfterValidator(_check_device), Field(json_schema_extra={"pattern": f"^({_DEVICE})$"})] = (
        "auto"
    )
    """device to train on: auto, cpu, mps, cuda or cuda:<number>"""
    threads: Workers | None = None
    """torch's threads on the CPU; null leaves the number to torch"""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """number format of training steps; auto is bfloat16 where the processor computes it faster, else float32"""
    channels_last: bool = True
    """keep the channels of a pixel next to each other in memory"""
    fused: bool = True
    """on the CPU and in channels_last, compute ReLU, batch norm and dropout as one layer"""
    compile: bool = False
    """use torch.compile"""
    cuda_graphs: bool = False
    """on an NVIDIA GPU, launch forward and backward of a step as one graph"""


def _check_experiment(name: str) -> str:
    rule = None
    if not name.strip():
        rule = "must have a character other than spaces"
    elif len(name) > _LONGEST_NAME:
        rule = f"must have at most {_LONGEST_NAME} characters, has {len(name)}"
    elif not name.isprintable():
        rule = "must not contain control characters"
    if rule is not None:
        raise ValueError(f"got {format_value(name if len(name) <= 60 else f'{name[:60]}...')}, {rule}")
    return name


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrackingSettings:
    """Where MLflow records runs, and what it records of them."""

    enabled: bool = True
    """record runs in MLflow"""
    uri: str | None = None
    """the tracking store; null is MLFLOW_TRACKING_URI, else SQLite in outputs/"""
    experiment: Annotated[str, AfterValidator(_check_experiment)] = "archsearch"
    """the MLflow experiment"""
    log_model: bool | Literal["auto"] = "auto"
    """log the trained network; auto does so for single runs and a sweep's best run"""
    log_figures: bool | Literal["auto"] = "auto"
    """log figures; auto does so for single runs and a sweep's best run"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Constraints:
    """Limits that a model must respect; null is no limit."""

    max_params: PositiveInt | None = None
    """largest number of parameters"""
    max_macs: PositiveInt | None = None
    """largest number of multiply-accumulates per image"""
    min_receptive_field: PositiveInt | None = None
    """smallest side of the receptive field, in input pixels"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SweepSettings:
    """How the runs of a multirun are combined and distributed."""

    workers: Workers | None = None
    """worker processes; null is one per CPU core, or jobs_per_gpu per GPU"""
    jobs_per_gpu: Workers = 1
    """worker processes per GPU"""
    stack: Workers = 1
    """train up to this many runs as one network, where their layers allow it"""
    invalid: Literal["stop", "skip"] = "stop"
    """stop before anything is trained if a run cannot be built, or skip such runs"""
    retries: NonNegativeInt = 0
    """further attempts at a run that failed, unless it diverged or took too long"""
    time_limit: PositiveFloat | None = None
    """time limit of one run, in seconds; null is no limit"""
    max_runs: PositiveInt = 10_000
    """largest number of runs; a sweep with more is refused before any is composed"""
    zip: Annotated[tuple[str | tuple[str, ...], ...], Field(strict=False)] = ()
    """settings that vary together: [a, b], or several such groups, [[a, b], [c, d]]"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SweepRunSettings:
    """Which run of which sweep this is. Set by the sweep, not by a person."""

    sweep: str
    number: NonNegativeInt
    name: str
    parent: str | None = None
    """the sweep's own run in MLflow"""
    run_id: str | None = None
    """an MLflow run that an earlier attempt began and left without a checkpoint"""
    trial: bool = False
    """a trial of a search, which leaves the test set to the finalists"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class UiSettings:
    """The MLflow UI that `python -m archsearch.ui` starts."""

    port: Annotated[int, Field(ge=1, le=65535)] = 5000
    """port of the UI, on 127.0.0.1"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Settings:
    """A configuration's settings, validated: all groups but `model`."""

    data: DataSettings
    augment: Augment = Augment()
    """random changes of the training images"""
    optimizer: Optimizer
    scheduler: Scheduler
    averaging: Averaging
    init: Initial
    trainer: TrainerSettings
    tracking: TrackingSettings
    constraints: Constraints
    sweep: SweepSettings
    search: SearchSettings = SearchSettings()
    """what a search proposes, and what it may spend"""
    ui: UiSettings
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """seed of initial weights, order of images, dropout and augmentation"""
    space: SpaceSettings = SpaceSettings()
    """what a search varies; a file of conf/space"""
    resume: str | None = None
    """the run to continue (id, folder or last); with -m the sweep (folder or last)"""
    overwrite: bool = False
    """let a single run replace the run that its folder (hydra.run.dir) already holds"""
    sweep_run: SweepRunSettings | None = None
    """which run of which sweep this is; set by the sweep"""


def parse_settings(config: Mapping[str, Any]) -> tuple[Settings | None, list[Problem]]:
    """Read a composed configuration of plain values. Returns the settings, or None and every problem found."""
    groups = {key: value for key, value in config.items() if key != "model"}
    settings, problems = read(Settings, groups, "")
    problems += _check_data(config.get("data"))
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
