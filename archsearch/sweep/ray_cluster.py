"""A Ray cluster: connecting to it, what it has room for, and whether its nodes see the sweep's folder.

Imports Ray, which takes a second, only when a cluster is used.
"""

import os
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from archsearch.config.settings import Settings
from archsearch.errors import ConfigError, Problem, first_line
from archsearch.sweep.machine import cores

_SETTING = "search.engine"
_ANSWER = 120.0  # seconds for all nodes to answer
_CONNECT = 10.0  # seconds for the cluster's head to answer
_LOCAL_MEMORY = 100_000_000  # bytes of a local Ray's object store; results are a few kB


@dataclass(frozen=True)
class Share:
    """What one run takes of a cluster: CPUs, and GPUs or a part of one."""

    cpus: int
    gpus: float = 0.0

    @classmethod
    def of(cls, settings: Settings) -> "Share":
        """As many CPUs as `trainer.threads`, by default 1; a GPU, or its part, with `trainer.device=cuda`."""
        gpus = 1 / settings.sweep.jobs_per_gpu if settings.trainer.device == "cuda" else 0.0
        return cls(settings.trainer.threads or 1, gpus)

    def places(self, nodes: Sequence[Mapping[str, Any]]) -> int:
        """How many runs fit on `nodes`, as `ray.nodes()` describes them, at once."""
        resources = [node["Resources"] for node in nodes if node["Alive"]]
        return sum(
            min(
                int(has.get("CPU", 0) / self.cpus),
                int(has.get("GPU", 0) / self.gpus + 1e-9) if self.gpus else int(has.get("CPU", 0)),
            )
            for has in resources
        )

    def describe(self) -> str:
        """`2 CPUs and 1 GPU`."""
        cpus = f"{self.cpus} CPU{'s' * (self.cpus != 1)}"
        return f"{cpus} and {self.gpus:g} GPU" if self.gpus else cpus


def check_installed() -> None:
    """Raise `ConfigError` if Ray is not installed."""
    if find_spec("ray") is None:
        rule = "got ray, but its package is not installed; run pip install 'archsearch[ray]'"
        raise ConfigError([Problem(_SETTING, rule)])


@contextmanager
def cluster(folder: Path, share: Share) -> Iterator[None]:
    """Connect to the cluster at RAY_ADDRESS, or start Ray on this machine; nothing if Ray is in use here already.

    Raises `ConfigError` if there is no such cluster, no room for one run, or a node does not see `folder`.
    """
    import ray

    before = ray.is_initialized()
    if not before:
        _connect()
    try:
        if not share.places(ray.nodes()):
            raise ConfigError([Problem(_SETTING, f"got ray, but no node of the cluster has {share.describe()}")])
        _check_nodes(folder.absolute())
        yield
    finally:
        if not before:
            ray.shutdown()


def _connect() -> None:
    import ray

    address = os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options |= {"num_cpus": cores(), "include_dashboard": False, "object_store_memory": _LOCAL_MEMORY}
    try:
        if address:
            _check_address(address)
        ray.init(address=address or "local", **options)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        where = f"the cluster at RAY_ADDRESS={address}" if address else "Ray on this machine"
        raise ConfigError([Problem(_SETTING, f"got ray, but {where} does not answer: {first_line(error)}")]) from error


def _check_address(address: str) -> None:
    """Raise `OSError` or `ValueError` if nothing answers at `address`; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if address != "auto":
        if "://" in address or not host or not port.isdigit():
            raise ValueError("it must be HOST:PORT or auto; run the search on a node of the cluster")
        socket.create_connection((host, int(port)), timeout=_CONNECT).close()


def _check_nodes(folder: Path) -> None:
    marker = folder / f".seen-by-{socket.gethostname()}-{uuid.uuid4().hex}"
    marker.touch()
    try:
        problems = blind_nodes(marker)
    finally:
        marker.unlink()
    if problems:
        advice = "all nodes must see the search's folder and have archsearch installed; set hydra.sweep.dir"
        raise ConfigError([Problem(_SETTING, f"got ray, but {'; '.join(problems)}: {advice}")])


def blind_nodes(file: Path) -> list[str]:
    """The nodes of the cluster that do not see `file`, or cannot run archsearch, each with the reason."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    sees = ray.remote(max_retries=0, num_cpus=0)(_sees)
    names = {}
    for node in ray.nodes():
        if node["Alive"]:
            strategy = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            asked = sees.options(scheduling_strategy=strategy).remote(str(file), str(Path.cwd()))
            names[asked] = f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
    answered, silent = ray.wait(list(names), num_returns=len(names), timeout=_ANSWER)
    problems = [f"{names[asked]} does not answer" for asked in silent]
    for asked in answered:
        try:
            unseen = ray.get(asked)
        except ray.exceptions.RayError as error:
            problems.append(f"{names[asked]} cannot run archsearch ({_cause(error)})")
            continue
        problems += [f"{names[asked]} does not see {path}" for path in unseen]
    return sorted(problems)


def _cause(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


def _sees(file: str, working_directory: str) -> list[str]:
    """In a task: which of the folders that a run needs are missing there."""
    return [str(path) for path, is_there in (
        (Path(file).parent, Path(file).is_file()), (Path(working_directory), Path(working_directory).is_dir())
    ) if not is_there]  # fmt: skip
