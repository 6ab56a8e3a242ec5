"""One run: prepared, trained, recorded, resumed, and shown.

`prepare` makes a `PreparedRun` of a request, `train` trains it, `active_run` keeps it on disk and on record while it
trains, `recording` is its record in MLflow. `result` and `folder` are what it leaves on disk, `artifacts` and `figures`
write that, `resume` continues it, `console` and `formatting` show it, `stacked` trains several runs as one network.
Open `train` first.
"""
