"""Everything that talks to MLflow. Imports torch only to log a model.

`store` finds the tracking store and creates it safely. `recorder` is the interface that records one run,
`mlflow_recorder` implements it, and `recorder_process` runs that in a separate process. `models` logs a network,
`mlflow_params` and `provenance` define a run's params and tags, `sweeps` finds and ends the runs of a sweep, and
`reader` reads runs back. Open `recorder` first.
"""
