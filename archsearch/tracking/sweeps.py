"""The runs of a sweep in MLflow: find them, end those whose process died, link to the page that shows them."""

import logging
from urllib.parse import quote

from archsearch.errors import TrackingError
from archsearch.tracking.messages import cause, error_line
from archsearch.tracking.mlflow_params import run_number
from archsearch.tracking.reader import matching_runs
from archsearch.tracking.store import Store, open_experiment

log = logging.getLogger(__name__)


def begun_runs(store: Store, experiment: str, sweep: str) -> dict[int, str]:
    """The MLflow ids of the started runs of `sweep`, by run number. Raises `TrackingError`."""
    client, experiment_id = open_experiment(store, experiment)
    run_ids: dict[int, str] = {}
    try:
        for run in matching_runs(client, [experiment_id], f'tags.sweep = "{sweep}"'):
            number = run_number(run.data.tags)
            if number is not None:
                run_ids.setdefault(number, run.info.run_id)
    except Exception as error:  # from MLflow or a database driver
        raise TrackingError(f"tracking store {store} does not answer: {error_line(error)}") from cause(error)
    return run_ids


def end_run(store: Store, experiment: str, run_id: str, reason: str) -> None:
    """Record that the process of a run died. Errors of the store are only logged."""
    try:
        client, _ = open_experiment(store, experiment)
        client.set_tag(run_id, "state", "FAILED")
        client.set_tag(run_id, "reason", reason)
        client.set_terminated(run_id, "FAILED")
    except Exception as error:  # from MLflow or a database driver; the run's folder has its state
        log.warning("WARNING: could not mark run %s as failed in MLflow: %s", run_id, error_line(error))


def runs_page(experiment_id: str, sweep: str) -> str:
    """Path of the MLflow UI's page that shows the runs of `sweep`, and no others, as charts."""
    # Sort by a metric: when MLflow sorts by time, it hides child runs behind their parent.
    query = quote(f'tags.sweep = "{sweep}"')
    order = quote("metrics.`val/accuracy`")
    return (
        f"/#/experiments/{experiment_id}/runs?searchFilter={query}&orderByKey={order}&orderByAsc=false"
        "&compareRunsMode=CHART&workflowType=machine_learning"
    )
