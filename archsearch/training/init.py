"""Where a network's weights begin, where torch's own initialisation is not what is wanted."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from archsearch.config.recipe import Initial

IMAGES = 1_000  # of the training set, to learn the statistics of patches from
_EPS = 5e-4  # added to the variance of each direction: flat ones are not blown up


@torch.no_grad()
def initialise(network: nn.Module, settings: Initial, images: Tensor) -> None:
    """Set the weights of `network` that `settings` name; all others stay.

    `images` (N, channels, height, width) are training images as the network gets them.
    """
    first, *others = (layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    if settings.first_conv == "whitening":
        whiten(first, images)
    if settings.convs == "dirac":
        for layer in others:
            dirac_init(layer)


def whiten(layer: nn.Conv2d, images: Tensor) -> None:
    """Make the filters of `layer` decorrelate patches: eigenvectors of their covariance, scaled to unit variance.

    The strongest directions first, each with both signs (what follows is mostly a ReLU); filters beyond that stay as
    they are. Page, "How to train your ResNet 8", 2019, with both signs as in Jordan, "94 % on CIFAR-10 in 3.29
    seconds", arXiv:2404.00498; there the layer is then frozen, here it is trained like all others.
    """
    size = layer.weight[0].numel()
    patches = functional.unfold(images, layer.kernel_size, dilation=layer.dilation)
    patches = patches.transpose(1, 2).reshape(-1, size).double()
    values, vectors = torch.linalg.eigh(torch.cov(patches.T).reshape(size, size))
    directions = (vectors / (values + _EPS).sqrt()).T.flip(0)  # of the largest variance first
    filters = torch.stack([directions, -directions], dim=1).flatten(0, 1)[: layer.out_channels]
    layer.weight[: len(filters)] = filters.reshape(-1, *layer.weight.shape[1:]).to(layer.weight)
    if layer.bias is not None:
        layer.bias[: len(filters)] = 0


def dirac_init(layer: nn.Conv2d) -> None:
    """Begin with the identity: output channel i of each group is its input channel i, as far as both go.

    The other filters stay as they are (Zagoruyko and Komodakis, "DiracNets", arXiv:1706.00388; used in this way in
    Jordan, arXiv:2404.00498).
    """
    outputs, inputs = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    for group in range(layer.groups):
        begin = group * outputs
        nn.init.dirac_(layer.weight[begin : begin + min(outputs, inputs)])
