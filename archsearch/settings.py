"""The fixed groups of the configuration, typed: everything but the model's own language.

The dataclasses stand here, not beside the code that they configure, because that code imports torch, and a
configuration is judged before torch is imported.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from archsearch.errors import Problem, did_you_mean
from archsearch.schema import (
    STRICT,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    names_of,
    read,
    read_typed,
    show,
)

DatasetName = Literal["auto", "mnist", "fashion_mnist", "kmnist", "digits"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DataSettings:
    """Which data set, where it lies, and how many training images are held out to choose models on."""

    name: DatasetName
    root: Annotated[str, Field(min_length=1)]
    validation: NonNegativeInt | None = None  # images; null is one sixth of the training set: 10,000 of MNIST's
    split_seed: NonNegativeInt = 0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NoAugment:
    type: Literal["none"] = "none"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AffineAugment:
    """Random rotation, shift and scale of every training image (the names are torchvision's RandomAffine's)."""

    type: Literal["affine"] = "affine"
    degrees: Annotated[float, Field(ge=0, le=180)]  # drawn from [-degrees, degrees]
    translate: Annotated[float, Field(ge=0, le=1)]  # of the image's side, drawn from [-translate, translate]
    scale: Fraction  # the factor is drawn from [1 - scale, 1 + scale]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SGD:
    type: Literal["sgd"] = "sgd"
    lr: PositiveFloat
    momentum: Fraction = 0.0
    nesterov: bool = False
    weight_decay: NonNegativeFloat = 0.0

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov` (=true) needs `momentum` above 0")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Adam:
    type: Literal["adam", "adamw"]
    lr: PositiveFloat
    betas: Annotated[tuple[Fraction, Fraction], Field(strict=False)] = (0.9, 0.999)
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Constant:
    type: Literal["constant"] = "constant"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MultiStep:
    """The rate is multiplied by `gamma` once each of `milestones` epochs has been trained."""

    type: Literal["multistep"] = "multistep"
    milestones: Annotated[tuple[PositiveInt, ...], Field(strict=False)]
    gamma: PositiveFloat = 0.1


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Cosine:
    """From `optimizer.lr` down to `min_lr` along half a cosine, step by step."""

    type: Literal["cosine"] = "cosine"
    min_lr: NonNegativeFloat = 0.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OneCycle:
    """Up to `optimizer.lr` and down again, step by step (Smith, arXiv:1708.07120; torch's OneCycleLR)."""

    type: Literal["one_cycle"] = "one_cycle"
    pct_start: Annotated[float, Field(gt=0, lt=1)] = 0.3
    div_factor: PositiveFloat = 25.0
    final_div_factor: PositiveFloat = 1e4
    anneal_strategy: Literal["cos", "linear"] = "cos"
    cycle_momentum: bool = True


def _check_device(device: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise ValueError(f"got {show(device)}, must be auto, cpu, mps, cuda or cuda:<number>")
    return device


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainerSettings:
    """How the network is trained, and on what."""

    epochs: PositiveInt
    batch_size: PositiveInt
    eval_batch_size: PositiveInt = 1000
    test_every_epoch: bool = False  # the reference's protocol; without it the test set is evaluated once, at the end
    device: Annotated[str, AfterValidator(_check_device)] = "auto"
    threads: PositiveInt | None = None  # of torch on the CPU; null is torch's own choice
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = True
    compile: bool = False


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrackingSettings:
    """Where MLflow records the run. `uri` null is MLFLOW_TRACKING_URI, else SQLite under `outputs/`."""

    enabled: bool = True
    uri: str | None = None
    experiment: Annotated[str, Field(min_length=1)] = "archsearch"
    # Of a trained network: as an MLflow model, as pictures. `auto` is: of a single run, and of a sweep's best variant.
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
    invalid: Literal["stop", "skip"] = "stop"  # what variants that cannot be built do to the others
    retries: NonNegativeInt = 0  # of a variant that failed; not of one that diverged or took too long
    time_limit: PositiveFloat | None = None  # seconds for one variant
    # Settings that move together: [a, b], or several such groups, [[a, b], [c, d]].
    zip: Annotated[tuple[str | tuple[str, ...], ...], Field(strict=False)] = ()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class VariantSettings:
    """Which variant of which sweep this is. Set by the sweep, not by a person."""

    sweep: str
    number: NonNegativeInt
    name: str
    parent: str | None = None  # the sweep's run in MLflow
    run_id: str | None = None  # a run in MLflow that was begun for this variant, and left without a checkpoint


@dataclass(frozen=True, kw_only=True, config=STRICT)
class UiSettings:
    port: Annotated[int, Field(ge=1, le=65535)] = 5000


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Top:
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    resume: str | None = None


Augment: TypeAlias = NoAugment | AffineAugment
Optimizer: TypeAlias = SGD | Adam
Scheduler: TypeAlias = Constant | MultiStep | Cosine | OneCycle

_AUGMENTS: dict[str, type[Augment]] = {"none": NoAugment, "affine": AffineAugment}
_OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": Adam}
_SCHEDULERS: dict[str, type[Scheduler]] = {
    "constant": Constant,
    "multistep": MultiStep,
    "cosine": Cosine,
    "one_cycle": OneCycle,
}


@plain_dataclass(frozen=True)
class Settings:
    """A configuration's fixed groups, validated: all but `model`."""

    data: DataSettings
    augment: Augment
    optimizer: Optimizer
    scheduler: Scheduler
    trainer: TrainerSettings
    tracking: TrackingSettings
    constraints: Constraints
    sweep: SweepSettings
    ui: UiSettings
    seed: int
    resume: str | None
    variant: VariantSettings | None = None


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
    variant = None
    if config.get("variant") is not None:
        variant, found = read(VariantSettings, config["variant"], "variant")
        problems += found
    known = (*_FIXED, *_TYPED, *names_of(_Top), "model", "variant")
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
    return Settings(**sections, seed=top.seed, resume=top.resume, variant=variant), []


_FIXED: dict[str, type] = {
    "data": DataSettings,
    "trainer": TrainerSettings,
    "tracking": TrackingSettings,
    "constraints": Constraints,
    "sweep": SweepSettings,
    "ui": UiSettings,
}
_TYPED: dict[str, Mapping[str, type]] = {"augment": _AUGMENTS, "optimizer": _OPTIMIZERS, "scheduler": _SCHEDULERS}
