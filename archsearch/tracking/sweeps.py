"""The runs of a sweep in MLflow: finding them, ending those whose process died, and the page that shows them."""

import logging
from urllib.parse import quote

from archsearch.errors import TrackingError, first_line
from archsearch.tracking.mlflow_params import run_number
from archsearch.tracking.store import Store, open_experiment

log = logging.getLogger(__name__)

_PAGE = 1000  # runs a request


def begun_runs(store: Store, experiment: str, sweep: str) -> dict[int, str]:
    """The ids of the runs that were begun for the variants of `sweep`, by number. Raises `TrackingError`."""
    client, experiment_id = open_experiment(store, experiment)
    run_ids: dict[int, str] = {}
    token = None
    while True:
        try:
            page = client.search_runs([experiment_id], f'tags.sweep = "{sweep}"', max_results=_PAGE, page_token=token)
        except Exception as error:  # whatever MLflow or a driver raises
            raise TrackingError(f"tracking store {store} does not answer: {first_line(error)}") from error
        for run in page:
            number = run_number(run.data.tags)
            if number is not None:
                run_ids.setdefault(number, run.info.run_id)
        token = page.token
        if not token:
            return run_ids


def end_run(store: Store, experiment: str, run_id: str, reason: str) -> None:
    """Put on record that the process of a run died. What the store does not take is only logged."""
    try:
        client, _ = open_experiment(store, experiment)
        client.set_tag(run_id, "state", "FAILED")
        client.set_tag(run_id, "reason", reason)
        client.set_terminated(run_id, "FAILED")
    except Exception as error:  # whatever MLflow or a driver raises: the folder has the truth
        log.warning("WARNING: MLflow was not told that run %s failed: %s", run_id, first_line(error))


def runs_page(experiment_id: str, sweep: str) -> str:
    """The part of the MLflow UI's address that shows the variants of `sweep`, and only them, as charts."""
    # Sorted by a metric, because MLflow hides children behind their parent when it sorts by time.
    searched = quote(f'tags.sweep = "{sweep}"')
    order = quote("metrics.`val/accuracy`")
    return (
        f"/#/experiments/{experiment_id}/runs?searchFilter={searched}&orderByKey={order}&orderByAsc=false"
        "&compareRunsMode=CHART&workflowType=machine_learning"
    )
