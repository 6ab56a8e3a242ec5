"""Initial weights."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archsearch.config.recipe import Initial
from archsearch.model.builder import build_plan
from archsearch.training.init import dirac_init, initialise, whiten
from tests.support.training import candidate


def smooth_images(channels: int, kernel_size: int) -> Tensor:
    """Random images whose neighbouring pixels correlate."""
    images = torch.rand(200, channels, 12, 12, generator=torch.Generator().manual_seed(0))
    return functional.avg_pool2d(images, kernel_size, stride=1)


@pytest.fixture
def whitened() -> tuple[nn.Conv2d, Tensor, Tensor]:
    """A layer with more filters than there are directions (18), its original weights, and its outputs."""
    torch.manual_seed(0)
    layer, images = nn.Conv2d(2, 40, 3), smooth_images(2, 2)
    original = layer.weight.detach().clone()
    with torch.no_grad():
        whiten(layer, images)
        outputs = layer(images).transpose(0, 1).flatten(1)
    return layer, original, outputs


def test_whitening_gives_uncorrelated_outputs_of_unit_variance(whitened: tuple[nn.Conv2d, Tensor, Tensor]) -> None:
    covariance = torch.cov(whitened[2][0:36:2])
    variances = covariance.diag()
    assert torch.allclose(covariance, torch.diag(variances), atol=1e-2)
    assert variances.min() > 0.7
    assert variances.max() < 1.01


def test_whitening_sets_each_direction_with_both_signs(whitened: tuple[nn.Conv2d, Tensor, Tensor]) -> None:
    outputs = whitened[2]
    assert torch.allclose(outputs[0:36:2], -outputs[1:36:2], atol=1e-4)


def test_whitening_leaves_filters_beyond_the_directions(whitened: tuple[nn.Conv2d, Tensor, Tensor]) -> None:
    layer, original, _ = whitened
    assert torch.equal(layer.weight[36:], original[36:])


def test_with_fewer_filters_whitening_keeps_the_directions_of_largest_variance() -> None:
    layer = nn.Conv2d(1, 3, 3, bias=False)
    with torch.no_grad():
        whiten(layer, smooth_images(1, 3))
    strongest = layer.weight[0].flatten() / layer.weight[0].norm()
    assert torch.allclose(layer.weight[0], -layer.weight[1])
    assert strongest.abs().min() > 0.2  # close to a mean
    assert (strongest > 0).all() or (strongest < 0).all()


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("inputs", "outputs"), [(4, 6), (6, 4), (4, 4)])
def test_dirac_passes_channels_on_and_leaves_the_other_filters(inputs: int, outputs: int, groups: int) -> None:
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups, bias=False)
    images = torch.rand(2, inputs, 5, 5, generator=torch.Generator().manual_seed(0))

    def filters() -> Tensor:
        return layer.weight.detach().clone().reshape(groups, outputs // groups, -1)

    original = filters()
    with torch.no_grad():
        dirac_init(layer)
        result = layer(images).reshape(2, groups, -1, 5, 5)
    count = min(inputs, outputs) // groups
    expected = images.reshape(2, groups, -1, 5, 5)
    assert torch.allclose(result[:, :, :count], expected[:, :, :count], atol=1e-6)
    assert torch.equal(filters()[:, count:], original[:, count:])


def changed_by(settings: Initial) -> list[str]:
    """The names of the tensors that `initialise` sets."""
    plan = candidate().plan
    network = build_plan(plan)
    original = {name: value.clone() for name, value in network.state_dict().items()}
    initialise(network, settings, torch.rand(50, *plan.input_shape, generator=torch.Generator().manual_seed(0)))
    return [name for name, value in network.state_dict().items() if not torch.equal(value, original[name])]


def convolutions() -> list[str]:
    return [layer.path for layer in candidate().plan.layers if layer.kind == "Conv2d"]


def test_by_default_torchs_initial_weights_stay() -> None:
    assert changed_by(Initial()) == []


def test_whitening_sets_the_first_convolution_only() -> None:
    first = convolutions()[0]
    assert changed_by(Initial(first_conv="whitening")) == [f"{first}.weight", f"{first}.bias"]


def test_dirac_sets_all_convolutions_but_the_first() -> None:
    assert changed_by(Initial(convs="dirac")) == [f"{path}.weight" for path in convolutions()[1:]]
