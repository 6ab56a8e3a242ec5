"""How long a run will train: from its MACs, and from how long recent runs took on this machine."""

from pathlib import Path
from statistics import median

from archsearch.config.settings import Settings
from archsearch.data.info import DatasetInfo, holdout_size
from archsearch.model.plan import Plan
from archsearch.runs.result import RESULT, read_result

# Seconds per training image on one core of an AMD EPYC, fitted to session4 at three widths (docs/results.md).
_FIXED, _PER_MAC = 440e-6, 150e-12
_RECENT_RUNS = 40


def estimate(settings: Settings, network: Plan, info: DatasetInfo, slowness: float = 1.0) -> float:
    """Seconds that training will take; `slowness` is `slowness_here()`."""
    images = info.train_images - holdout_size(info, settings.data.validation)
    return slowness * settings.trainer.epochs * images * _image_seconds(network.macs)


def slowness_here(outputs: Path) -> float:
    """Median ratio of measured to estimated time of the latest runs under `outputs`; 1 if there are none."""
    paths = sorted(outputs.glob(f"**/{RESULT}"), key=lambda path: path.stat().st_mtime, reverse=True)
    results = [result for path in paths[:_RECENT_RUNS] if (result := read_result(path.parent)) is not None]
    rates = [(result["macs"], result["images_per_second"]) for result in results if result.get("images_per_second")]
    return median(1 / (rate * _image_seconds(macs)) for macs, rate in rates) if rates else 1.0


def _image_seconds(macs: int) -> float:
    return _FIXED + macs * _PER_MAC
