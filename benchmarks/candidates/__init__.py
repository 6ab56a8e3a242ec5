"""One module per candidate, run as `python -m candidates.loop` and so on in `benchmarks/`."""
