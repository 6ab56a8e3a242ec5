"""A run of a sweep as a Hydra job: the overrides that identify it, and the function that a launcher calls."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from archsearch.compose.composition import chosen_options, plain_values, task_overrides
from archsearch.compose.overrides import quote
from archsearch.compose.request import Request
from archsearch.config.settings import SweepRunSettings
from archsearch.errors import ConfigError, Problem
from archsearch.sweep.record import refuse_outside

log = logging.getLogger(__name__)

SUBDIR = "hydra.sweep.subdir="
SWEEP_RUN = "++sweep_run="


def job_overrides(overrides: Sequence[str], folder: str, sweep_run: SweepRunSettings) -> list[str]:
    """A run's overrides, with its `folder` within the sweep's folder and its `sweep_run` settings."""
    values = {name: value for name, value in vars(sweep_run).items() if not name.startswith("_")}
    mapping = ",".join(f"{name}:{_literal(value)}" for name, value in values.items())
    return [*overrides, f"{SUBDIR}{quote(folder)}", f"{SWEEP_RUN}{{{mapping}}}"]


def subdir_of(master: DictConfig, number: int, overrides: Sequence[str]) -> str:
    """A job's folder within the sweep's folder: from its `overrides`, otherwise from `hydra.sweep.subdir`.

    Raises `ConfigError` if it does not lie inside the sweep's folder.
    """
    subdir = _subdir(master, number, overrides)
    rule = refuse_outside(Path(str(master.hydra.sweep.dir)), subdir)
    if rule is not None:
        raise ConfigError([Problem("hydra.sweep.subdir", f"got {subdir!r}, {rule}; use ${{hydra.job.num}}")])
    return subdir


def _subdir(master: DictConfig, number: int, overrides: Sequence[str]) -> str:
    for override in overrides:
        if override.startswith(SUBDIR):
            return str(OverridesParser.create().parse_override(override).value())
    if OmegaConf.to_container(master.hydra.sweep)["subdir"] == "${hydra.job.num}":  # type: ignore[index,call-overload]
        return str(number)
    with_number = OmegaConf.masked_copy(master, "hydra")
    with read_write(with_number), open_dict(with_number):
        with_number.hydra.job.num = number
        with_number.hydra.job.id = str(number)
        with_number.hydra.job.override_dirname = ",".join(override.lstrip("+") for override in overrides)
    return str(OmegaConf.select(with_number, "hydra.sweep.subdir"))


def run_job(config: DictConfig) -> dict[str, Any]:
    """Train the run that Hydra composed, in the folder that Hydra made.

    Returns the content of its `result.json`, for launchers whose machines share no disk.
    """
    from archsearch.runs.prepare import prepare_in_sweep
    from archsearch.runs.train import train_run

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    request = Request(plain_values(config), chosen_options(hydra), task_overrides(hydra))
    try:
        return train_run(prepare_in_sweep(request, folder), folder).as_dict()
    except Exception:
        log.exception("this run failed")  # Hydra does not log it
        raise


def _literal(value: object) -> str:
    return "null" if value is None else str(value) if isinstance(value, int) else quote(str(value))
