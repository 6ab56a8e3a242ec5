"""Everything that talks to MLflow. No torch.

`store` finds the tracking store, `uris` refuses what cannot be one, and `database` makes a SQLite store safely.
`recorder` is the interface that records one run, `mlflow_recorder` implements it, `recorder_process` runs that in a
separate process, and `recorder_server` is that process. `models` logs the files of a network, `registry` registers
them, `mlflow_params` and `provenance` define a run's params and tags, `sweeps` finds and ends the runs of a sweep,
`reader` reads runs back, and `messages` keeps passwords and SQL out of errors. Open `recorder` first.
"""
