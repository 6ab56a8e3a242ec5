"""What of a run becomes a column in MLflow: the settings that a person chose, and the numbers at its end."""

from archsearch.prepare import Experiment
from archsearch.runs import Result

# Settings whose values are worth a column in MLflow; where things lie and how they are drawn is noise there.
_PARAM_SECTIONS = ("model", "augment", "optimizer", "scheduler")
_PARAM_SETTINGS = {"data": ("validation",), "trainer": ("epochs", "batch_size", "precision")}


def params_of(experiment: Experiment) -> dict[str, object]:
    """The settings that a person chose, flattened to `model.blocks.conv3.channels` and the like."""
    config = experiment.request.config
    found: dict[str, object] = {
        "model": experiment.request.choices["model"],
        "seed": experiment.settings.seed,
        "data": experiment.data.definition.name,
    }

    def add(path: str, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                add(f"{path}.{key}", inner)
        elif value is not None:
            found[path] = value

    for section in _PARAM_SECTIONS:
        add(section, config[section])
    for section, names in _PARAM_SETTINGS.items():
        for name in names:
            add(f"{section}.{name}", config[section][name])
    return found


def sweep_tags(sweep: str, number: int, parent: str | None) -> dict[str, str]:
    """What makes a run in MLflow a variant of a sweep."""
    tags = {"sweep": sweep, "sweep.variant": str(number)}
    return tags | {"mlflow.parentRunId": parent} if parent is not None else tags


def final_numbers(result: Result) -> dict[str, float]:
    """The metrics of a finished run, by the names that MLflow shows; accuracy in percent, times in seconds."""
    seconds = sum(metrics.seconds for metrics in result.history)
    assert result.test is not None
    return {
        "test/loss": result.test.loss,
        "test/accuracy": result.test.accuracy,
        "params": result.params,
        "macs": result.macs,
        "receptive_field": result.receptive_field,
        "epoch_seconds": seconds / len(result.history),
        "images_per_second": sum(metrics.train.total for metrics in result.history) / seconds,
    }
