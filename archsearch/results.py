"""Runs and sweeps as Python objects: their numbers as pandas tables, their networks as `nn.Module`s.

They read the folders that training leaves, so they are as current as the files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.errors import ReportError, ResumeError, first_line
from archsearch.runs.data_file import recorded_dataset
from archsearch.runs.folder import (
    CHECKPOINT,
    DATASET,
    FINALISTS,
    FRONT,
    LAYERS,
    PREDICTIONS,
    SWEEP,
    find_last,
    find_run,
    find_sweep,
    is_search,
    read_config,
    search_of,
    sweep_of,
)
from archsearch.runs.result import RESULT, read_result
from archsearch.sweep.frames import table_of, variants_of
from archsearch.sweep.record import SweepRecord

if TYPE_CHECKING:
    import pandas
    from torch import nn

    from archsearch.data.info import DatasetInfo
    from archsearch.model.classifier import Classifier


class Run:
    """A run: one training of one network with one seed, in `folder`.

    Accuracies are in percent, times in seconds.
    """

    def __init__(self, folder: Path | str, network: nn.Module | None = None) -> None:
        self.folder = Path(folder).absolute()
        self._network = network

    @property
    def result(self) -> dict[str, Any]:
        """The content of `result.json`: state, final and best epoch, sizes, choices. Raises `ReportError`."""
        result = read_result(self.folder)
        if result is None:
            raise ReportError(f"{self.folder / RESULT}: cannot be read")
        return result

    @property
    def id(self) -> str:
        """The run's id, which is also that of its MLflow run."""
        return str(self.result["run_id"])

    @property
    def name(self) -> str:
        """The model, and the settings that were given."""
        return str(self.result["name"])

    @property
    def state(self) -> str:
        """RUNNING, FINISHED, FAILED, KILLED or, for a trial of a search that stopped early, STOPPED."""
        return str(self.result["state"])

    @property
    def config(self) -> dict[str, Any]:
        """The composed configuration. Raises `ResumeError` if it cannot be read."""
        return read_config(self.folder)

    @property
    def layers(self) -> str:
        """The layer table, as text. Raises `ReportError`."""
        return self._file(LAYERS).read_text(encoding="utf-8")

    @property
    def metrics(self) -> pandas.DataFrame:
        """One row an epoch, by its number: `train/loss`, `train/accuracy`, `val/loss`, `val/accuracy`, `lr`, ..."""
        import pandas

        history = self.result["history"]
        table = pandas.DataFrame(history or {name: [] for name in ("epoch", *_METRICS)}).set_index("epoch")
        return table.drop(columns="timestamp", errors="ignore")

    @property
    def predictions(self) -> pandas.DataFrame:
        """One row a test image, in the data set's order: `label`, `prediction`, `confidence`. Raises `ReportError`."""
        import pandas

        path = self._file(PREDICTIONS)
        try:
            return pandas.read_csv(path, index_col="index")
        except (ValueError, TypeError, UnicodeError, pandas.errors.ParserError) as error:
            raise ReportError(f"{path}: damaged: {first_line(error)}") from error

    def network(self, module: nn.Module | None = None) -> nn.Module:
        """The trained network on the CPU, in eval mode, with averaged weights if the run averages them.

        The weights are those of the last epoch that was trained. For a network of one's own, `module` is one like
        it, whose copy receives the weights; the run that `train` returned does not need it. Raises `ResumeError`.
        """
        if not self.result["epochs_trained"]:
            raise ResumeError(f"{self.folder}: the run is {self.state} and has trained no epoch")
        from archsearch.training.checkpoint import load_checkpoint
        from archsearch.training.restored import restored_network

        return restored_network(
            load_checkpoint(self.folder / CHECKPOINT),
            str(self.result["data"]["name"]),
            self._network if module is None else module,
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return self._dataset().classes

    def classifier(self, module: nn.Module | None = None) -> Classifier:
        """The trained network with its preprocessing: from raw pixels (uint8) to logits.

        `classifier.preprocessing` and `classifier.network` are its parts.
        """
        from archsearch.training.restored import classifier_of

        return classifier_of(self.network(module), self._dataset())

    def predict(self, images: Any, module: nn.Module | None = None) -> pandas.DataFrame:
        """One row an image: `prediction`, a class name, and `confidence`, its probability.

        `images` are uint8, grey or with channels first or last, or a list of images or of PIL's, of any size. `module`
        is as for `network`. Raises `DataError` for anything else.
        """
        import pandas

        from archsearch.deploy.predictions import best_classes, pixels_of

        classifier = self.classifier(module)
        names, probabilities = best_classes(classifier, pixels_of(images, classifier.preprocessing), top=1)
        return pandas.DataFrame({"prediction": [row[0] for row in names], "confidence": probabilities[:, 0]})

    def __repr__(self) -> str:
        result = read_result(self.folder) or {}
        final = result.get("final") or {}
        numbers = [f"{name.removesuffix('/accuracy')} {final[name]:.2f} %" for name in _ACCURACIES if name in final]
        return f"<Run {result.get('name')}: {', '.join([str(result.get('state')), *numbers])}, in {self.folder}>"

    def _dataset(self) -> DatasetInfo:
        info = recorded_dataset(str(self.result["data"]["name"]), lambda name: self.folder / name)
        if info is None:
            raise ReportError(f"{self.folder / DATASET}: cannot be read")
        return info

    def _file(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise ReportError(f"{path}: there is no such file; the run is {self.state}")
        return path


_LONGEST_NAME = 1000  # characters of a path
_METRICS = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr")
_ACCURACIES = ("val/accuracy", "test/accuracy")


class Sweep:
    """A sweep: the runs of one multirun, in `folder`."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).absolute()

    @property
    def record(self) -> SweepRecord:
        """The content of `sweep.json`. Raises `ResumeError` if it cannot be read."""
        return SweepRecord.read(self.folder)

    @property
    def runs(self) -> list[Run]:
        """The runs that have begun, in the order of their numbers."""
        folders = [self.folder / entry.folder for entry in sorted(self.record.entries, key=lambda entry: entry.number)]
        return [Run(folder) for folder in folders if (folder / RESULT).is_file()]

    @property
    def table(self) -> pandas.DataFrame:
        """One row a run, by its number, the best on top: the settings that vary, sizes, accuracies, state."""
        return table_of(self.record, self.folder)

    @property
    def variants(self) -> pandas.DataFrame:
        """One row a variant, the best on top: its settings, `n` finished runs, and means and standard deviations."""
        return variants_of(self.record, self.folder)

    def __repr__(self) -> str:
        record = self.record
        from archsearch.compose.overrides import as_typed  # which imports Hydra

        overrides = " ".join(map(as_typed, record.overrides))
        return f"<Sweep {overrides}: {len(record.entries)} runs, {record.state}, in {self.folder}>"


class Search(Sweep):
    """A search: a sweep whose runs, its trials, were proposed one after another."""

    @property
    def front(self) -> pandas.DataFrame:
        """One row a trial that no other one dominates, by its number, as in `front.csv`. Raises `ReportError`."""
        import pandas

        path = self.folder / FRONT
        if not path.is_file():
            raise ReportError(f"{path}: there is no such file; the search has not ended yet")
        return pandas.read_csv(path, index_col="trial")

    @property
    def finalists(self) -> Sweep:
        """The sweep in which the best trials were trained again, with fresh seeds. Raises `ReportError`."""
        folder = self.folder / FINALISTS
        if not (folder / SWEEP).is_file():
            rule = "there are no finalists; the search has not ended yet, or search.finalists is 0"
            raise ReportError(f"{folder}: {rule}")
        return Sweep(folder)


@dataclass(frozen=True)
class Report:
    """A report: its HTML page at `path`, and what the command prints, as `text`. `print(report)` shows it."""

    path: Path
    text: str = field(repr=False)

    @property
    def leaderboard(self) -> pandas.DataFrame:
        """One row a variant, the best on top, study by study, as in the CSV file beside the page (docs/report.md)."""
        import pandas

        return pandas.read_csv(self.path.with_suffix(".csv"))

    def __str__(self) -> str:
        return self.text


def load(name: Path | str = "last") -> Run | Sweep:
    """The run or the sweep `name`: a folder, an id (or the beginning of a run's), or `last`.

    `last` is the sweep, not its last run, where that run belongs to one, and the search, not its finalists. Raises
    `ReportError`.
    """
    if not isinstance(name, str | Path) or len(str(name)) > _LONGEST_NAME:
        raise ReportError(f"load: got {str(name)[:40]!r}, must be the id or the folder of a run or a sweep, or last")
    folder = Path(name)
    if (folder / RESULT).is_file():
        return Run(folder)
    if (folder / SWEEP).is_file():
        return _sweep_in(folder)
    if name == "last":
        last = find_last()
        if last is None:
            raise ReportError("load: got 'last', but there is no run and no sweep in outputs/ yet")
        sweep = last if (last / SWEEP).is_file() else sweep_of(last)
        return Run(last) if sweep is None else _sweep_in(search_of(sweep))
    try:
        return _sweep_in(find_sweep(str(name), setting="load"))
    except ResumeError as no_sweep:
        try:
            return Run(find_run(str(name), setting="load"))
        except ResumeError as no_run:
            ambiguous = next((error for error in (no_run, no_sweep) if "match" in str(error)), None)
            rule = "must be the id or the folder of a run or a sweep in outputs/, or last"
            raise ReportError(f"load: got {str(name)!r}, {rule}" if ambiguous is None else str(ambiguous)) from None


def _sweep_in(folder: Path) -> Sweep:
    """The sweep in `folder`, which may be a search."""
    return Search(folder) if is_search(folder) else Sweep(folder)
