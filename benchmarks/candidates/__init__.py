"""What is measured: each module is one candidate, `python -m candidates.loop` and so on, run in `benchmarks/`."""
