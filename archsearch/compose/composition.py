"""From overrides to a composed configuration, without running anything through Hydra."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from archsearch.compose.interpolations import may_be_inside_interpolations, refuse_interpolations, without_values
from archsearch.compose.overrides import (
    CONFIG_NAME,
    VERSION_BASE,
    complete_arguments,
    config_folder,
    parse_arguments,
)
from archsearch.compose.request import Request
from archsearch.config.augment import in_present_form
from archsearch.errors import ConfigError, Problem


def compose_config(arguments: Sequence[str]) -> DictConfig:
    """The configuration of one run, with Hydra's own section, for complete command-line `arguments`."""
    parsed = parse_arguments(arguments)
    assert parsed is not None
    with initialize_config_dir(str(config_folder()), version_base=VERSION_BASE):
        config = compose(CONFIG_NAME, overrides=parsed.composable, return_hydra_config=True)
        if may_be_inside_interpolations(parsed.composable, config):
            base = compose(CONFIG_NAME, overrides=without_values(parsed.composable))
            refuse_interpolations(parsed.composable, base)
        return config


def compose_request(arguments: Sequence[str]) -> Request:
    """The request for one run, for command-line `arguments` as typed."""
    return request_of(compose_config(complete_arguments(arguments)))


@contextmanager
def composed_sweep(arguments: Sequence[str]) -> Iterator[tuple[ConfigLoader, DictConfig]]:
    """Hydra's loader, and the configuration that Hydra would pass to the sweeper of a multirun with `arguments`."""
    parsed = parse_arguments(arguments)
    assert parsed is not None
    with initialize_config_dir(str(config_folder()), version_base=VERSION_BASE):
        loader = GlobalHydra.instance().config_loader()
        yield loader, loader.load_configuration(CONFIG_NAME, overrides=parsed.composable, run_mode=RunMode.MULTIRUN)


def is_search(master: DictConfig) -> bool:
    """Whether a multirun with the configuration `master` is a search, which proposes its own runs."""
    return str(master.hydra.sweeper._target_) == "hydra_plugins.archsearch.search.SearchSweeper"


def sweeps_by_configuration(arguments: Sequence[str]) -> bool:
    """Whether `arguments` hold several values and the configuration itself (`hydra.mode`) asks for a multirun."""
    if not any("," in argument or "(" in argument for argument in arguments):
        return False  # the composed configuration has the mode
    try:
        with composed_sweep(arguments) as (_, config):
            return bool(config.hydra.mode == RunMode.MULTIRUN)
    except HydraException:
        return False  # composing it as one run reports the error


def request_of(config: DictConfig) -> Request:
    """The request in a composed configuration with Hydra's own section. Raises `ConfigError` if it is a search's."""
    if is_search(config):
        rule = "got 'search', which needs -m; without -m, a single run is trained"
        raise ConfigError([Problem("hydra/sweeper", rule)])
    folder = OmegaConf.select(config, "hydra.run.dir")
    values, overrides = plain_values(config), task_overrides(config.hydra)
    refuse_other_transforms(values, overrides)
    return Request(values, chosen_options(config.hydra), overrides, Path(folder) if isinstance(folder, str) else None)


def refuse_other_transforms(config: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Raise `ConfigError` if `overrides` ask for `augment=none`, but set transforms, or an experiment among them does.

    Hydra merges an experiment's settings into whatever option is chosen.
    """
    chosen = [override for override in overrides if override.startswith("augment=")]
    augment = config.get("augment")
    transforms = [name for name, value in augment.items() if value is not None] if isinstance(augment, dict) else []
    if chosen[-1:] == ["augment=none"] and transforms:
        removed = " ".join(f"++augment.{name}=null" for name in transforms)
        rule = f"but the configuration has {', '.join(transforms)}; take away with {removed}"
        raise ConfigError([Problem("augment", f"got none, {rule}")])


def chosen_options(hydra_config: Any) -> dict[str, str]:
    """The option chosen in each group, from Hydra's own section; without Hydra's own groups."""
    return {
        str(group): str(choice)
        for group, choice in hydra_config.runtime.choices.items()
        if choice is not None and not str(group).startswith("hydra/")
    }


def task_overrides(hydra_config: Any) -> tuple[str, ...]:
    """The overrides of the configuration itself, as typed, from Hydra's own section."""
    overrides = OmegaConf.to_container(hydra_config.overrides.task, resolve=False)
    assert isinstance(overrides, list)
    return tuple(map(str, overrides))


def plain_values(config: DictConfig) -> dict[str, Any]:
    """A composed configuration as plain values, interpolations resolved, without Hydra's own section."""
    nodes = {str(key): config._get_node(key) for key in config if key != "hydra"}
    values = {
        key: OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else config[key]
        for key, node in nodes.items()
    }
    return dict(in_present_form(values))
