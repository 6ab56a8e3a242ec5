"""Weight initialisation beyond torch's defaults."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from archsearch.config.recipe import Initial

IMAGES = 1_000  # training images used to estimate the statistics of patches
_EPS = 5e-4  # added to the variance of each direction, so that flat directions are not amplified


@torch.no_grad()
def initialise(network: nn.Module, settings: Initial, images: Tensor) -> None:
    """Set the weights of `network` that `settings` name, and leave all others.

    `images` (N, channels, height, width) are normalised training images.
    """
    first, *others = (layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    if settings.first_conv == "whitening":
        whiten(first, images)
    if settings.convs == "dirac":
        for layer in others:
            dirac_init(layer)


def whiten(layer: nn.Conv2d, images: Tensor) -> None:
    """Set the filters of `layer` to decorrelate patches: eigenvectors of the covariance, scaled to unit variance.

    The directions of largest variance come first, each with both signs, since a ReLU usually follows. Filters beyond
    these stay unchanged. Page, "How to train your ResNet 8", 2019; both signs as in Jordan, "94 % on CIFAR-10 in 3.29
    seconds", arXiv:2404.00498. They freeze the layer afterwards; here it is trained like all others.
    """
    size = layer.weight[0].numel()
    patches = functional.unfold(images, layer.kernel_size, dilation=layer.dilation)
    patches = patches.transpose(1, 2).reshape(-1, size).double()
    values, vectors = torch.linalg.eigh(torch.cov(patches.T).reshape(size, size))
    directions = (vectors / (values + _EPS).sqrt()).T.flip(0)  # largest variance first
    filters = torch.stack([directions, -directions], dim=1).flatten(0, 1)[: layer.out_channels]
    layer.weight[: len(filters)] = filters.reshape(-1, *layer.weight.shape[1:]).to(layer.weight)
    if layer.bias is not None:
        layer.bias[: len(filters)] = 0


def dirac_init(layer: nn.Conv2d) -> None:
    """Initialise with the identity: in each group, output channel i is input channel i, where both exist.

    All other filters stay unchanged (Zagoruyko and Komodakis, "DiracNets", arXiv:1706.00388; used like this in Jordan,
    arXiv:2404.00498).
    """
    outputs, inputs = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    for group in range(layer.groups):
        begin = group * outputs
        nn.init.dirac_(layer.weight[begin : begin + min(outputs, inputs)])
