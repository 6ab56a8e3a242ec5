"""Receptive fields and jumps as the gradient sees them."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from archsearch.model.builder import build_plan
from archsearch.model.layers import Parallel, StochasticDepth
from archsearch.model.plan import Plan
from archsearch.model.tree import Layer, Node, Pair
from archsearch.model.tree import Parallel as ParallelNode

Box = tuple[Pair, Pair]  # first and last row, first and last column

_IDENTITIES = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d, nn.LayerNorm, nn.Dropout, nn.Dropout2d,
    StochasticDepth, nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.ELU, nn.Tanh, nn.Sigmoid, nn.Hardsigmoid, nn.ReLU6,
    nn.Hardswish, nn.Mish,
)  # fmt: skip


def last_of(node: Node) -> Layer | ParallelNode:
    """The layer or the join that makes the output of `node`."""
    return node if isinstance(node, Layer | ParallelNode) else last_of(node.children[-1])


def windowed(network: nn.Module) -> nn.Module:
    """`network` as averages over its windows, so that the gradient covers them, and statistics of all pixels do not.

    A maximum would send its gradient to one pixel. Weights are positive, so that no two paths cancel.
    """
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, _IDENTITIES):
                setattr(module, name, nn.Identity())
            elif isinstance(child, nn.MaxPool2d):
                pooling = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
                setattr(module, name, pooling)
            elif isinstance(child, nn.AdaptiveMaxPool2d):
                setattr(module, name, nn.AdaptiveAvgPool2d(child.output_size))
            elif isinstance(child, nn.Conv2d | nn.Linear):
                nn.init.uniform_(child.weight, 0.5, 1)
                child.weight.data /= child.weight[0].numel()
                if child.bias is not None:
                    nn.init.zeros_(child.bias)
            elif isinstance(child, Parallel):
                child.register_forward_hook(_without_squeezed)
    return network.double()


def _without_squeezed(module: Parallel, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    outputs = [branch(inputs[0]) for branch in module.children()]
    if module.join == "concat":
        return output
    outputs = [value if value.shape[2:] == output.shape[2:] else value.detach() for value in outputs]
    return module.joined(outputs, channels=1)


def covered(gradients: Tensor) -> list[Box]:
    """The part of each image (N, channels, height, width) whose gradient is not 0."""
    boxes = []
    for used in gradients.abs().sum(dim=1) > 0:
        rows, columns = (used.any(dim=axis).nonzero().flatten().tolist() for axis in (1, 0))
        if rows:
            boxes.append(((rows[0], rows[-1]), (columns[0], columns[-1])))
    return boxes


def windows_of_blocks(plan: Plan) -> tuple[Pair, tuple[set[int], set[int]]] | None:
    """The window of the blocks of `plan`, and the distances of neighbouring windows down and across.

    By the gradients of the outputs on the diagonal. None behind adaptive pooling whose windows differ, where the plan
    estimates; for the windows of such a pooling itself, there are no distances.
    """
    network = windowed(build_plan(plan)[:-1])
    *_, last = network.modules()
    uneven: dict[nn.Module, bool] = {}
    for module in network.modules():
        if isinstance(module, nn.AdaptiveAvgPool2d):
            module.register_forward_hook(
                lambda module, inputs, output: uneven.update(
                    {module: _is_uneven(inputs[0].shape[2:], output.shape[2:])}
                )
            )
    count = max(last_of(plan.nodes[-2]).output[1:])
    images = torch.rand(count, *plan.input_shape, dtype=torch.double, requires_grad=True)
    outputs = network(images)  # of as many images, so that one pass gives all gradients
    is_estimate = uneven.pop(last, False)
    if any(uneven.values()):
        return None
    height, width = outputs.shape[2:]
    chosen = [outputs[i, :, min(i, height - 1), min(i, width - 1)].sum() for i in range(count)]
    (gradients,) = torch.autograd.grad(torch.stack(chosen).sum(), images)
    rows, columns = (tuple(spans) for spans in zip(*covered(gradients), strict=True))
    window = max(map(_length, rows)), max(map(_length, columns))
    return window, (set(), set()) if is_estimate else (_distances(rows), _distances(columns))


def _is_uneven(sides: tuple[int, ...], outputs: tuple[int, ...]) -> bool:
    return any(side % output for side, output in zip(sides, outputs, strict=True))


def _length(span: Pair) -> int:
    return span[1] - span[0] + 1


def _distances(spans: tuple[Pair, ...]) -> set[int]:
    """Those between the longest spans, which the border does not cut off."""
    longest = max(map(_length, spans))
    begins = sorted({span[0] for span in spans if _length(span) == longest})
    return {b - a for a, b in pairwise(begins)}
