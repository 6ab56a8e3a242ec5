"""Everything that talks to MLflow. No torch except while a model is logged.

`store` resolves the tracking store and creates it safely, `recorder` writes one run, `recorder_process` does so in
a process of its own, `models` logs a network, `mlflow_params` and `provenance` are the params and tags of a run,
`sweeps` finds and ends the runs of a sweep, `reader` reads runs back. Open `recorder` first.
"""
