"""The samplers: our own (`evolution`, `local_search`, `simple`) and those of Optuna (`from_optuna`)."""
