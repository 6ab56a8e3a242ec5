"""What trains the trials and the finalists of a search: processes of this machine, or tasks of a Ray cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from archsearch.config.settings import SweepSettings
from archsearch.runs.prepare import check_device
from archsearch.search.setup import SearchPlan
from archsearch.sweep.launcher import make_pool, make_ray_pool, slots_for
from archsearch.sweep.pool_base import PoolBase, PoolListener
from archsearch.sweep.ray_cluster import Share, check_installed, cluster


def check_engine(planned: SearchPlan) -> None:
    """Raise `UserError` if what shall train is not installed, or this machine lacks the device."""
    if planned.search.engine == "ray":
        check_installed()  # its nodes have the devices, not this machine
    else:
        check_device(planned.settings.trainer.device)


@contextmanager
def engine_of(planned: SearchPlan, folder: Path) -> Iterator[None]:
    """Be connected to what trains the search in `folder`. Raises `ConfigError` if that cannot train it."""
    if planned.search.engine == "ray":
        with cluster(folder, Share.of(planned.settings)):
            yield
    else:
        yield


def places(planned: SearchPlan) -> int:
    """How many runs can train at once."""
    if planned.search.engine == "ray":
        import ray

        room = Share.of(planned.settings).places(ray.nodes())
        return room if planned.sweep.workers is None else min(room, planned.sweep.workers)
    return len(slots_for(planned.sweep, [planned.settings.trainer.device]))


def pool_of(
    planned: SearchPlan, settings: SweepSettings, folder: Path, master: DictConfig, listener: PoolListener
) -> PoolBase:
    """A pool for the runs in `folder`, which reports to `listener`."""
    if planned.search.engine == "ray":
        return make_ray_pool(Share.of(planned.settings), settings, master, listener)
    slots = slots_for(settings, [planned.settings.trainer.device])
    return make_pool(slots, settings, folder, master, listener)
