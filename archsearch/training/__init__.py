"""Trains one network, or several as one. Independent of Hydra, MLflow and run folders.

- `trainer`: the training loop of one network; `loop` holds what it shares with the loop of a stack.
- `setup`: makes a trainer from settings, a plan and a data set.
- `optim`, `averaging`, `init`: the parts of a training recipe.
- `metrics`, `meter`: what is measured.
- `checkpoint`: what a run needs to continue.
- `folding`, `fused/`: faster networks on the CPU; `cuda_graphs`: faster steps on a GPU.
- `stacked/`: trains several networks as one.

Open `trainer` first.
"""
