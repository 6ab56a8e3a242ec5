"""Hydra plugins, in the package where Hydra looks for them. The code is in `archsearch.sweep`."""
