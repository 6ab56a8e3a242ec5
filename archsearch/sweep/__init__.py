"""Many runs: a grid is expanded, planned, trained by a pool of processes, and resumed after any interruption.

Planning, without torch: `grid` expands the command line to combinations of `values`, `composer` composes the
configuration of each run, `fingerprint` finds runs with the same result, `estimate` predicts how long a run takes.
`plan` puts them together and `plan_table` prints it.

Training: Hydra calls `sweeper` and `launcher` (through hydra_plugins/archsearch). `opening` is what a search does
beforehand, too; `record` is `sweep.json`, `numbering` gives runs their numbers and folders, `job` is a run as a Hydra
job. `pool`, `worker` and `machine` are the processes, `ray_pool` and `ray_cluster` the tasks of a Ray cluster,
`pool_base` what both have in common. `display`, `time_left` and `logs` show their progress.

Results: `results` collects what became of the runs, `result_tables` prints it, `pictures` draws it, `closing` writes,
records and prints all of it. Open `sweeper` first.
"""
