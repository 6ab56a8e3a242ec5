"""ReLU, batch norm, channel dropout and pooling in fewer passes over memory, for training on the CPU.

- `kernels`: the passes, compiled by Numba
- `pooling`, `values`: their parts for pooling, and for reading and writing float32 and bfloat16
- `cache`: Numba's cache of compiled functions on disk
- `layer`: these layers as one, with its gradient
- `in_float32`: layers that bfloat16 would make slower
- `network`: replaces layers of a network with fused ones
"""
