"""Hydra plugin: the sweeper `hydra/sweeper=search`, which chooses its own variants."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional  # noqa: UP035  Hydra reads these annotations

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class SearchSweeperConf:
    _target_: str = "hydra_plugins.archsearch.search.SearchSweeper"
    params: Optional[Dict[str, str]] = None  # noqa: UP006, UP045


ConfigStore.instance().store(group="hydra/sweeper", name="search", node=SearchSweeperConf, provider="archsearch")


class SearchSweeper(Sweeper):
    """Proposes networks within a budget, trains them in worker processes, and trains the best again."""

    def __init__(self, params: Optional[Dict[str, str]] = None) -> None:  # noqa: UP006, UP045
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        del task_function  # the workers call what it would call
        self.hydra_context, self.config = hydra_context, config

    def sweep(self, arguments: List[str]) -> Any:  # noqa: ARG002, UP006  also in the configuration
        from archsearch.search.sweeper import run_search

        assert self.hydra_context is not None
        assert self.config is not None
        return run_search(self.hydra_context.config_loader, self.config, _write_page)


def _write_page(search: Any) -> Path:
    from archsearch.report.search_page import write_search_page

    return write_search_page(search)
