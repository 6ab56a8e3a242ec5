"""`archsearch register`: the model of a run in MLflow's registry, in the store that has the run."""

import sys

from archsearch.deploy.checks import EXAMPLES, example_pixels
from archsearch.deploy.chosen import ChosenRun, choose_run
from archsearch.deploy.words import RegisterOptions
from archsearch.errors import RunError, TrackingError, first_line
from archsearch.runs.folder import OUTPUTS
from archsearch.runs.model_files import model_files
from archsearch.system.screen import doing
from archsearch.tracking.models import ModelFiles
from archsearch.tracking.registry import register_model
from archsearch.tracking.store import Store, resolve_store


def register(options: RegisterOptions) -> None:
    """Register the model that `options` name, and print its address. Raises `UserError`."""
    run = choose_run(options.run, options.sweep)
    store = _store_of(run)
    print(run, file=sys.stderr)

    def make() -> ModelFiles:
        classifier, plan = run.classifier, run.plan
        try:
            return model_files(classifier, plan, run.info, run.model, run.name, example_pixels(classifier, EXAMPLES))
        except Exception as error:  # of layers of a person's own
            problem = f"torch.export cannot export its network: {first_line(error)}"
            raise RunError(f"run {run.id[:8]}: {problem}") from error

    with doing("registering the model"):
        version = register_model(store, run.id, options.name, options.alias, make)
    print(f"models:/{options.name}/{version}")
    if options.alias is not None:
        print(f"models:/{options.name}@{options.alias}")
    print(f"in {store}")


def _store_of(run: ChosenRun) -> Store:
    """The store that has the run. Results do not hold passwords, so MLFLOW_TRACKING_URI may name it with one."""
    tracking = run.result["tracking"]
    if tracking.get("uri") is None or tracking.get("experiment_id") is None:
        advice = f"resume={run.id[:8]} tracking=mlflow records it"
        raise TrackingError(f"run {run.id[:8]} is not recorded in MLflow, so there is no registry; {advice}")
    configured = resolve_store(None, OUTPUTS)
    return configured if str(configured) == tracking["uri"] else Store(tracking["uri"])
