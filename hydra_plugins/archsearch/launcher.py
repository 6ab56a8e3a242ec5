"""Hydra plugin: the launcher `hydra/launcher=archsearch`, the default."""

from dataclasses import dataclass
from typing import Sequence  # noqa: UP035  Hydra reads these annotations

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class PoolLauncherConf:
    _target_: str = "hydra_plugins.archsearch.launcher.PoolLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="archsearch", node=PoolLauncherConf, provider="archsearch")


class PoolLauncher(Launcher):
    """Trains the jobs of a multirun in worker processes on this machine, as the `sweep` settings configure them."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        # Not needed: the workers call what `task_function` would call.
        del task_function
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from archsearch.sweep.launcher import launch

        return launch(self.hydra_context.config_loader, self.config, job_overrides, initial_job_idx)
