"""`data.json` in a run's folder: the data set of a run on data of one's own. No torch."""

import json
from collections.abc import Callable
from pathlib import Path

from archsearch.data.catalogue import DATASETS
from archsearch.data.info import DatasetInfo
from archsearch.runs.folder import DATASET
from archsearch.system.atomic import write_text


def write_dataset(folder: Path, info: DatasetInfo) -> None:
    """Describe a data set of a person's own, so that reports know its classes. A public one is known by its name."""
    if info.content is not None:
        write_text(folder / DATASET, json.dumps(info.as_dict(), indent=1) + "\n")


def recorded_dataset(name: str, fetch: Callable[[str], Path | None]) -> DatasetInfo | None:
    """The data set `name` of a run, one of whose files `fetch` finds; None if it is unknown."""
    if name in DATASETS:
        return DATASETS[name]
    path = fetch(DATASET)
    try:
        return None if path is None else DatasetInfo.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError):
        return None
