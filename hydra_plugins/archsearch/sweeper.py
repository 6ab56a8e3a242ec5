"""The sweeper that Hydra finds: `hydra/sweeper=archsearch`, the default."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Dict, List, Optional  # noqa: UP035  Hydra reads these annotations

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class GridSweeperConf:
    _target_: str = "hydra_plugins.archsearch.sweeper.GridSweeper"
    params: Optional[Dict[str, str]] = None  # noqa: UP006, UP045


ConfigStore.instance().store(group="hydra/sweeper", name="archsearch", node=GridSweeperConf, provider="archsearch")


class GridSweeper(Sweeper):
    """All combinations of what the command line sweeps over: planned, trained by the launcher, and put in a table."""

    def __init__(self, params: Optional[Dict[str, str]] = None) -> None:  # noqa: UP006, UP045
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self._sweep = partial(_sweep, hydra_context, task_function, config)

    def sweep(self, arguments: List[str]) -> Any:  # noqa: ARG002, UP006  they are in the configuration, too
        return self._sweep()


def _sweep(hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
    from archsearch.sweep.sweeper import run_sweep

    def make_launcher() -> Launcher:
        return Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    run_sweep(hydra_context.config_loader, config, make_launcher)
