"""Networks as programs of torch.export, which need no code of the network's own."""

import warnings
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import torch
from torch import Tensor, nn


def program_of(network: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """`network`, in eval mode, as a program for batches of any size like `example`, which has at least two images.

    Raises whatever torch.export raises about the network's own code.
    """
    with (
        warnings.catch_warnings(action="ignore"),
        redirect_stdout(StringIO()),  # torch prints whole graphs where it fails
        redirect_stderr(StringIO()),
    ):
        program = torch.export.export(network.eval(), (example,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # with paths of this machine
    return program
