"""One variant, in whatever process a launcher runs it."""

import logging
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from archsearch.compose.overrides import choices_of, plain, task_words
from archsearch.compose.request import Request

log = logging.getLogger(__name__)


def run_variant(config: DictConfig) -> dict[str, Any]:
    """Train the variant that Hydra composed, in the folder that Hydra made; what every launcher calls.

    Returns what is in its `result.json`, for launchers whose machines do not share a disk.
    """
    from archsearch.runs.prepare import prepare_variant
    from archsearch.runs.train import run

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    request = Request(plain(config), choices_of(hydra), task_words(hydra))
    try:
        return run(prepare_variant(request, folder), folder).as_dict()
    except Exception:
        log.exception("this variant failed")  # Hydra keeps it out of the log
        raise
