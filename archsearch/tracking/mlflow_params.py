"""What of a run becomes a column in MLflow: the settings that a person chose, and the numbers at its end."""

from collections.abc import Mapping
from typing import Any

from archsearch.runs.folder import Result
from archsearch.runs.prepare import Experiment
from archsearch.training.metrics import best_epoch

# Settings whose values are worth a column in MLflow; where things lie and how they are drawn is noise there.
_PARAM_SECTIONS = ("model", "init", "augment", "optimizer", "scheduler", "averaging")
_PARAM_SETTINGS = {
    "data": ("validation", "split_seed"),
    "trainer": ("epochs", "batch_size", "label_smoothing", "precision"),
}


def params_of(experiment: Experiment) -> dict[str, object]:
    """The settings that a person chose, flattened to `model.blocks.conv3.channels` and the like."""
    request = experiment.request
    return chosen(request.config, request.choices, experiment.data.definition.name)


def chosen(config: Mapping[str, Any], choices: Mapping[str, str], data: str) -> dict[str, object]:
    """`params_of` the run that has this configuration, these options of its groups, and the data set `data`."""
    found: dict[str, object] = {"model": choices["model"], "seed": config["seed"], "data": data}

    def add(path: str, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                add(f"{path}.{key}", inner)
        elif value is not None:
            found[path] = value

    for section in _PARAM_SECTIONS:
        add(section, config.get(section))
    found["model.blocks"] = " ".join(config["model"]["blocks"])  # in their order, which no other column has
    for section, names in _PARAM_SETTINGS.items():
        for name in names:
            add(f"{section}.{name}", config[section].get(name))
    return found


def sweep_tags(sweep: str, number: int, parent: str | None) -> dict[str, str]:
    """What makes a run in MLflow a variant of a sweep."""
    tags = {"sweep": sweep, "sweep.variant": str(number)}
    return tags | {"mlflow.parentRunId": parent} if parent is not None else tags


def final_numbers(result: Result) -> dict[str, float]:
    """The metrics of a finished run, by the names that MLflow shows; accuracy in percent, times in seconds."""
    seconds = sum(metrics.seconds for metrics in result.history)
    best = best_epoch(result.history)
    of_best: dict[str, float] = {}
    if best is not None and best.selection is not None:
        split = "val" if best.validation is not None else "test"
        of_best = {f"{split}/best_accuracy": best.selection.accuracy, "best_epoch": best.epoch}
    assert result.test is not None
    return {
        "test/loss": result.test.loss,
        "test/accuracy": result.test.accuracy,
        "params": result.params,
        "macs": result.macs,
        "receptive_field": result.receptive_field,
        **of_best,
        "epoch_seconds": seconds / len(result.history),
        "images_per_second": sum(metrics.train.total for metrics in result.history) / seconds,
    }
