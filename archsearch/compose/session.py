"""Hydra inside a process of somebody else's, such as a notebook: runs a command line, then leaves no trace of itself.

It does what `hydra.main` does, without `sys.argv` and without replacing the process's logging.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from archsearch.compose.composition import task_overrides
from archsearch.compose.overrides import CONFIG_NAME, VERSION_BASE, config_folder


@contextmanager
def own_hydra() -> Iterator[None]:
    """Give archsearch a Hydra of its own; the caller's, if there is one, is back afterwards."""
    before = GlobalHydra.instance().hydra, version.VersionBase.instance().version_base, HydraConfig.instance().cfg
    GlobalHydra.instance().hydra = HydraConfig.instance().cfg = None
    try:
        with warnings.catch_warnings():
            # The presets of Ray and submitit are named like their plugins, so Hydra validates them against both.
            warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")
            yield
    finally:
        # Not of the instances above: Hydra's compose API replaces them.
        GlobalHydra.instance().hydra, version.VersionBase.instance().version_base, HydraConfig.instance().cfg = before


def run_job(arguments: Sequence[str], job: Callable[[Path], None]) -> None:
    """Compose a single run for completed `arguments`, make its folder, write `.hydra` there, and call `job` with it."""

    def task(_config: DictConfig) -> None:
        job(Path(HydraConfig.get().runtime.output_dir))

    hydra, overrides = _hydra(arguments)
    hydra.run(CONFIG_NAME, task, overrides, with_log_configuration=False)


def run_sweep(arguments: Sequence[str], task: Callable[[DictConfig], Any], begun: Callable[[Path], None]) -> None:
    """Compose a multirun for completed `arguments`, call `begun` with its folder, and let its sweeper run `task`."""
    hydra, overrides = _hydra(arguments)
    config = hydra.compose_config(CONFIG_NAME, overrides, RunMode.MULTIRUN, with_log_configuration=False)
    begun(Path(str(config.hydra.sweep.dir)))
    callbacks = Callbacks(config)
    callbacks.on_multirun_start(config=config, config_name=CONFIG_NAME)
    context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
    sweeper = Plugins.instance().instantiate_sweeper(config=config, hydra_context=context, task_function=task)
    sweeper.sweep(arguments=list(task_overrides(config.hydra)))
    callbacks.on_multirun_end(config=config, config_name=CONFIG_NAME)


def _hydra(arguments: Sequence[str]) -> tuple[Hydra, list[str]]:
    """A Hydra for the folders that `arguments` name, and their overrides."""
    parsed = get_args_parser().parse_args(list(arguments))
    version.setbase(VERSION_BASE)
    search_path = create_config_search_path(str(config_folder()))
    if parsed.config_dir is not None:
        folder = f"file://{Path(parsed.config_dir).absolute()}"
        search_path.prepend(provider="command-line", path=folder, anchor=SearchPathQuery(provider="schema"))
    return Hydra.create_main_hydra2("archsearch", search_path), list(parsed.overrides)
