"""Everything that is wrong with a configuration, at once, without leaving a trace. No torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from archsearch.config.recipe import Initial, OneCycle
from archsearch.config.settings import Constraints, Settings, parse_settings
from archsearch.data.definitions import Definition, definition_of, holdout_size, steps_per_epoch
from archsearch.errors import ConfigError, Problem
from archsearch.model.plan import Plan, plan
from archsearch.model.spec import ModelSpec, parse_model


@dataclass(frozen=True)
class Verdict:
    """What judging found. `problems` cannot be trained; `violations` could, but are outside of the constraints."""

    spec: ModelSpec | None
    settings: Settings | None
    network: Plan | None
    definition: Definition
    problems: tuple[Problem, ...]
    violations: tuple[Problem, ...] = ()


def judge(config: Mapping[str, Any], definition: Definition | None = None) -> tuple[Settings, Plan]:
    """Validate `config` and lower its model for the images of `definition` (else, of the data set it names).

    Raises `ConfigError` with everything that is wrong. Imports no torch.
    """
    verdict = examine(config, None if definition is None else lambda _: definition)
    problems = (*verdict.problems, *verdict.violations)
    if problems or verdict.settings is None or verdict.network is None:
        raise ConfigError(problems)
    return verdict.settings, verdict.network


def examine(config: Mapping[str, Any], define: Callable[[Settings], Definition] | None = None) -> Verdict:
    """Like `judge`, but tells what it found instead of raising it. `define` says which data set settings mean."""
    spec, problems = parse_model(config.get("model"))
    settings, of_settings = parse_settings(config)
    if settings is not None and define is not None:
        definition = define(settings)
    else:
        definition = definition_of(settings.data.name if settings is not None else "auto")
    network = None
    if spec is not None:
        try:
            network = plan(spec, definition.shape, len(definition.classes))
        except ConfigError as error:
            problems += error.problems
    problems += of_settings
    violations: list[Problem] = []
    if settings is not None:
        problems += _check_amounts(settings, definition)
        if settings.trainer.compile and settings.trainer.cuda_graphs:
            rule = "got true beside trainer.compile=true, which records graphs of its own; choose one of them"
            problems.append(Problem("trainer.cuda_graphs", rule))
        if network is not None:
            problems += _check_batch_norm(settings.trainer.batch_size, network)
            problems += _check_initial(settings.init, network)
            violations = _check_constraints(settings.constraints, network)
    return Verdict(spec, settings, network, definition, tuple(problems), tuple(violations))


def _check_amounts(settings: Settings, definition: Definition) -> list[Problem]:
    try:
        trained_on = definition.train_images - holdout_size(definition, settings.data.validation)
    except ConfigError as error:
        return list(error.problems)
    steps = settings.trainer.epochs * steps_per_epoch(trained_on, settings.trainer.batch_size)
    if steps == 0:
        return [Problem("trainer.batch_size", f"got {settings.trainer.batch_size}, and a batch needs two images")]
    if isinstance(settings.scheduler, OneCycle) and settings.scheduler.pct_start * steps <= 1:
        rule = f"is less than one of this run's {steps} steps; set a larger one, or another scheduler"
        return [Problem("scheduler.pct_start", f"got {settings.scheduler.pct_start}, which {rule}")]
    return []


def _check_initial(init: Initial, network: Plan) -> list[Problem]:
    problems = []
    first = network.layers[0]
    if init.first_conv == "whitening" and (first.kind != "Conv2d" or first.arguments.get("groups", 1) != 1):
        rule = f"needs a convolution of all channels as the model's first layer, which is {first.path} ({first.kind})"
        problems.append(Problem("init.first_conv", f"got 'whitening', which {rule}"))
    if init.convs == "dirac" and sum(layer.kind == "Conv2d" for layer in network.layers) < 2:
        problems.append(Problem("init.convs", "got 'dirac', but the model has no convolution behind its first"))
    return problems


def _check_constraints(constraints: Constraints, network: Plan) -> list[Problem]:
    problems = []
    for name, limit, actual, unit in (
        ("max_params", constraints.max_params, network.params, "parameters"),
        ("max_macs", constraints.max_macs, network.macs, "MACs"),
    ):
        if limit is not None and actual > limit:
            problems.append(Problem(f"constraints.{name}", f"the model has {actual:,} {unit}, {limit:,} are allowed"))
    least = constraints.min_receptive_field
    if least is not None and network.receptive_field < least:
        rule = f"the model's receptive field is {network.receptive_field}, at least {least} is wanted"
        problems.append(Problem("constraints.min_receptive_field", rule))
    return problems


def _check_batch_norm(batch_size: int, network: Plan) -> list[Problem]:
    single = [layer.path for layer in network.layers if layer.kind == "BatchNorm2d" and layer.output[1:] == (1, 1)]
    if batch_size > 1 or not single:
        return []
    return [Problem("trainer.batch_size", f"got 1, with which batch norm cannot train on the 1x1 image of {single[0]}")]
