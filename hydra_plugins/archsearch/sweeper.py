"""Hydra plugin: the sweeper `hydra/sweeper=archsearch`, the default."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Dict, List, Optional  # noqa: UP035  Hydra reads these annotations

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class GridSweeperConf:
    _target_: str = "hydra_plugins.archsearch.sweeper.GridSweeper"
    params: Optional[Dict[str, str]] = None  # noqa: UP006, UP045


ConfigStore.instance().store(group="hydra/sweeper", name="archsearch", node=GridSweeperConf, provider="archsearch")


class GridSweeper(Sweeper):
    """Plans all combinations of the values on the command line, trains them with the launcher, and writes a table."""

    def __init__(self, params: Optional[Dict[str, str]] = None) -> None:  # noqa: UP006, UP045
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config, self._job = hydra_context, config, task_function

    def sweep(self, arguments: List[str]) -> Any:  # noqa: ARG002, UP006  also in the configuration
        from archsearch.sweep.sweeper import run_sweep

        context, config = self.hydra_context, self.config
        assert context is not None
        assert config is not None
        make_launcher = partial(
            Plugins.instance().instantiate_launcher, hydra_context=context, task_function=self._job, config=config
        )
        return run_sweep(context.config_loader, config, make_launcher)
