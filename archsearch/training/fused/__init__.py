"""ReLU, batch norm and channel dropout in fewer passes over memory, for training on the CPU.

kernels  the passes themselves, compiled by Numba
layer    the three layers as one, with its gradient
network  a network with such layers in place of its own
"""
