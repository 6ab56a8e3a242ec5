"""Many runs: a grid is expanded, planned, trained by a pool of processes, and resumed after whatever stopped it.

Planning, without torch: `grid` expands the command line, `composer` composes each run, `fingerprint` tells whether two
runs are the same, `estimate` how long one takes, `plan` is the result and `plan_table` its text.

Training: `sweeper` and `launcher` are what Hydra calls (through hydra_plugins/archsearch), `record` is `sweep.json`,
`numbering` gives runs their numbers and folders, `job` is a run as a Hydra job, `pool`, `worker` and `machine` are the
processes, `display` what people see of them.

Results: `results` is the table, `pictures` draws it, `closing` writes, records and prints both. Open `sweeper` first.
"""
