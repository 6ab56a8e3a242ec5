"""Training one network, or several as one. Knows neither Hydra nor MLflow nor folders.

`trainer` is the loop and `setup` makes one from settings, a plan and a data set; `optim`, `averaging` and `init` are
the parts of a recipe, `metrics` and `meter` what is measured, `checkpoint` what is kept. `fused/` and `folding` make
networks faster on the CPU, `cuda_graphs` steps on a GPU, `stacked/` trains several networks as one. Open `trainer`
first.
"""
