"""Validation of a whole configuration: every error at once, before anything is created. No torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

from archsearch.config.augment import Augment
from archsearch.config.recipe import Initial, OneCycle
from archsearch.config.schema import format_value
from archsearch.config.settings import Constraints, Settings, parse_settings
from archsearch.data.catalogue import dataset_info
from archsearch.data.info import DatasetInfo, holdout_size, steps_per_epoch
from archsearch.data.load import named_dataset as dataset_of
from archsearch.errors import ConfigError, Problem
from archsearch.model.plan import Plan, plan
from archsearch.model.spec import ModelSpec, at_width, parse_model

_MOST_PARAMS = 10**9


@dataclass(frozen=True)
class ValidationResult:
    """A configuration, parsed as far as it is valid.

    `problems` make training impossible. `violations` break a constraint, but the model could be trained.
    """

    spec: ModelSpec | None
    settings: Settings | None
    plan: Plan | None
    dataset: DatasetInfo
    problems: tuple[Problem, ...]
    violations: tuple[Problem, ...] = ()

    def require(self) -> tuple[Settings, Plan]:
        """The settings and the plan. Raises `ConfigError` with all problems and violations."""
        problems = (*self.problems, *self.violations)
        if problems or self.settings is None or self.plan is None:
            raise ConfigError(problems)
        return self.settings, self.plan


FindDataset: TypeAlias = Callable[[Settings], DatasetInfo]


def named_dataset(settings: Settings) -> DatasetInfo:
    """The data set that `settings` name, whether or not it is on this machine; one of a person's own must be."""
    return dataset_of(settings.data)


def validate(
    config: Mapping[str, Any],
    find_dataset: FindDataset = named_dataset,
    count: Callable[[Settings, DatasetInfo], Plan] | None = None,
) -> ValidationResult:
    """Parse `config` and plan its model for the images of the data set that `find_dataset` finds for its settings.

    `count` makes the plan instead if `config` has no model, but a network of one's own.
    """
    spec, problems = parse_model(config.get("model")) if count is None else (None, [])
    settings, settings_problems = parse_settings(config)
    dataset = dataset_info("auto")
    if settings is not None:
        try:
            dataset = find_dataset(settings)
        except ConfigError as error:
            problems += [*settings_problems, *error.problems]
            return ValidationResult(None, settings, None, dataset, tuple(problems), ())
    network = None
    if spec is not None or (count is not None and settings is not None):
        try:
            if spec is not None:
                spec = at_width(spec, dataset.shape[0])
                network = plan(spec, dataset.shape, len(dataset.classes))
            elif count is not None and settings is not None:
                network = count(settings, dataset)
        except ConfigError as error:
            problems += error.problems
    problems += settings_problems
    violations: list[Problem] = []
    if settings is not None:
        problems += [*_check_amounts(settings, dataset), *_check_augment(settings.augment, dataset)]
        if settings.trainer.compile and settings.trainer.cuda_graphs:
            rule = "got true beside trainer.compile=true, which records graphs of its own; choose one of them"
            problems.append(Problem("trainer.cuda_graphs", rule))
        if network is not None:
            problems += _check_size(network)
            problems += _check_batch_norm(settings.trainer.batch_size, network)
            problems += _check_initial(settings.init, network) if count is None else _check_untouched(settings.init)
            violations = _check_constraints(settings.constraints, network)
    return ValidationResult(spec, settings, network, dataset, tuple(problems), tuple(violations))


def _check_amounts(settings: Settings, dataset: DatasetInfo) -> list[Problem]:
    try:
        train_images = dataset.train_images - holdout_size(dataset, settings.data.validation)
    except ConfigError as error:
        return list(error.problems)
    steps = settings.trainer.epochs * steps_per_epoch(train_images, settings.trainer.batch_size)
    if steps == 0:
        return [Problem("trainer.batch_size", f"got {settings.trainer.batch_size}, and a batch needs two images")]
    if isinstance(settings.scheduler, OneCycle) and settings.scheduler.pct_start * steps <= 1:
        rule = f"is less than one of this run's {steps} steps; set a larger one, or another scheduler"
        return [Problem("scheduler.pct_start", f"got {settings.scheduler.pct_start}, which {rule}")]
    return []


def _check_augment(augment: Augment, dataset: DatasetInfo) -> list[Problem]:
    """Transforms that the images of `dataset` cannot have."""
    channels, height, width = dataset.shape
    problems = []
    for name in ("saturation", "hue") if augment.color_jitter is not None and channels != 3 else ():
        if value := getattr(augment.color_jitter, name):
            rule = f"needs images with three channels; those of {dataset.name} have {channels}"
            problems.append(Problem(f"augment.color_jitter.{name}", f"got {value}, which {rule}"))
    side = min(height, width)
    lengths = {
        "crop.padding": (augment.crop.padding if augment.crop is not None else 0, side - 1),
        "cutout.size": (augment.cutout.size if augment.cutout is not None else 0, side),
    }
    for name, (length, most) in lengths.items():
        if length > most:
            rule = f"must be at most {most} for images of {height}x{width}"
            problems.append(Problem(f"augment.{name}", f"got {length}, {rule}"))
    return problems


def _check_size(network: Plan) -> list[Problem]:
    if network.params <= _MOST_PARAMS:
        return []
    return [Problem("model", f"got {network.params:,} parameters, must be at most {_MOST_PARAMS:,}")]


def _check_initial(init: Initial, network: Plan) -> list[Problem]:
    problems = []  # the initialisations set the weights of torch's Conv2d, whatever other layers do
    first = network.layers[0]
    if init.first_conv == "whitening" and (first.kind != "Conv2d" or first.arguments.get("groups", 1) != 1):
        rule = f"needs a convolution of all channels as the model's first layer, which is {first.path} ({first.kind})"
        problems.append(Problem("init.first_conv", f"got 'whitening', which {rule}"))
    if init.convs == "dirac" and sum(layer.kind == "Conv2d" for layer in network.layers) < 2:
        problems.append(Problem("init.convs", "got 'dirac', but the model has no convolution after its first"))
    return problems


def _check_untouched(init: Initial) -> list[Problem]:
    """A network of one's own keeps the weights that it has."""
    rule = "must be torch: a network is trained from the weights that it has"
    values = {"first_conv": init.first_conv, "convs": init.convs}
    return [
        Problem(f"init.{name}", f"got {format_value(value)}, {rule}")
        for name, value in values.items()
        if value != "torch"
    ]


def _check_constraints(constraints: Constraints, network: Plan) -> list[Problem]:
    problems = []
    for name, limit, actual, unit in (
        ("max_params", constraints.max_params, network.params, "parameters"),
        ("max_macs", constraints.max_macs, network.macs, "MACs"),
    ):
        if limit is not None and actual > limit:
            problems.append(Problem(f"constraints.{name}", f"the model has {actual:,} {unit}, {limit:,} are allowed"))
    least = constraints.min_receptive_field
    if least is not None and network.receptive_field == 0:
        rule = f"got {least}, but the receptive field of a network of one's own is unknown; leave it out"
        problems.append(Problem("constraints.min_receptive_field", rule))
    elif least is not None and network.receptive_field < least:
        rule = f"the model's receptive field is {network.receptive_field}, at least {least} is required"
        problems.append(Problem("constraints.min_receptive_field", rule))
    return problems


def _check_batch_norm(batch_size: int, network: Plan) -> list[Problem]:
    norms = [layer for layer in network.layers if layer.batch_statistics and prod(layer.output[1:]) == 1]
    if batch_size > 1 or not norms:
        return []
    values = "1x1 image" if len(norms[0].output) == 3 else "vector"
    rule = f"with which batch norm cannot train on the {values} of {norms[0].path}"
    return [Problem("trainer.batch_size", f"got 1, {rule}")]
