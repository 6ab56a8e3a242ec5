"""ReLU, batch norm and channel dropout in fewer passes over memory, for training on the CPU.

- `kernels`: the passes, compiled by Numba
- `cache`: Numba's cache of compiled functions on disk
- `layer`: the three layers as one, with its gradient
- `network`: replaces layers of a network with fused ones
"""
