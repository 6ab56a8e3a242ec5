"""One run: prepare, train, record, resume and show it.

`prepare` turns a request into a `PreparedRun`, and `train` trains it. `active_run` keeps its folder and its record up
to date, `recording` defines its record in MLflow. `model_files` and `source` make files of its
network. `result` and `folder` define the files of its folder, `artifacts` and `figures` write them, `storage` locks
it. `resume` continues a run, `console` and `formatting` show it, and `stacked` trains several runs as one network. Open
`train` first.
"""
