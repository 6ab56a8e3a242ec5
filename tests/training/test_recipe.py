"""What makes a network learn faster: averaged weights, other initial weights, rates of norms and biases, smoothing."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archsearch.compose.validate import validate
from archsearch.config.recipe import EMA, SGD, Initial, Lookahead
from archsearch.errors import ConfigError
from archsearch.model.builder import build_plan
from archsearch.training.averaging import WeightAverage
from archsearch.training.init import dirac_init, initialise, whiten
from archsearch.training.optim import make_optimizer
from tests.support.requests import QUICK, ask


def scalar(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def value_of(network: nn.Module) -> float:
    return float(next(network.parameters()).detach())


def test_ema_follows_by_the_rule_and_leaves_training_alone() -> None:
    network = scalar(0.0)
    average = WeightAverage(EMA(decay=0.9, every=2), network)
    expected = 0.0
    for step in range(1, 9):
        nn.init.constant_(network.weight, float(step))
        average.step()
        if step % 2 == 0:
            decay = min(0.9, (1 + step // 2) / (10 + step // 2))
            expected = decay * expected + (1 - decay) * step
        assert value_of(average.network) == pytest.approx(expected) and value_of(network) == step


def test_lookahead_goes_back_part_of_the_way() -> None:
    network = scalar(0.0)
    average = WeightAverage(Lookahead(alpha=0.25, every=2), network)
    nn.init.constant_(network.weight, 4.0)
    average.step()
    assert (value_of(network), value_of(average.network)) == (4.0, 0.0)
    nn.init.constant_(network.weight, 8.0)
    average.step()
    assert (value_of(network), value_of(average.network)) == (2.0, 2.0)


def test_batch_norms_statistics_are_averaged_with_the_weights() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    average = WeightAverage(Lookahead(alpha=1.0, every=1), network)
    network(torch.rand(4, 1, 5, 5) + 3)
    average.step()
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(value, average.network.state_dict()[name])


def test_an_average_goes_on_from_its_state() -> None:
    network, other = scalar(1.0), scalar(1.0)
    first, second = (WeightAverage(EMA(decay=0.5, every=3), each) for each in (network, other))
    for average in (first, second):
        for value in (2.0, 3.0):
            nn.init.constant_(network.weight, value)
            nn.init.constant_(other.weight, value)
            average.step()
    third = WeightAverage(EMA(decay=0.5, every=3), other)
    third.load_state_dict(first.state_dict())
    for average in (second, third):
        average.step()
    assert value_of(second.network) == value_of(third.network) != 1.0


def patches_of(images: Tensor, layer: nn.Conv2d) -> Tensor:
    outputs: Tensor = layer(images)
    return outputs.transpose(0, 1).flatten(1)


def test_whitening_gives_uncorrelated_outputs_of_unit_variance() -> None:
    images = functional.avg_pool2d(torch.rand(200, 2, 12, 12), 2, stride=1)  # neighbours correlate
    layer = nn.Conv2d(2, 40, 3)
    before = layer.weight[36:].clone()
    with torch.no_grad():
        whiten(layer, images)
        outputs = patches_of(images, layer)
    plain, opposite = outputs[0:36:2], outputs[1:36:2]
    assert torch.allclose(plain, -opposite, atol=1e-4)
    covariance = torch.cov(plain)
    expected = covariance.diag()
    assert (
        torch.allclose(covariance, torch.diag(expected), atol=1e-2) and expected.min() > 0.7 and expected.max() < 1.01
    )
    assert torch.equal(layer.weight[36:], before)  # there are 18 directions, and no more


def test_with_fewer_filters_whitening_keeps_the_strongest_directions() -> None:
    images = functional.avg_pool2d(torch.rand(200, 1, 12, 12), 3, stride=1)
    layer = nn.Conv2d(1, 3, 3, bias=False)
    with torch.no_grad():
        whiten(layer, images)
    assert torch.allclose(layer.weight[0], -layer.weight[1])
    strongest = layer.weight[0].flatten() / layer.weight[0].norm()
    assert (strongest.abs().min() > 0.2 and (strongest > 0).all()) or (strongest < 0).all()  # close to a mean


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("inputs", "outputs"), [(4, 6), (6, 4), (4, 4)])
def test_dirac_passes_channels_on(inputs: int, outputs: int, groups: int) -> None:
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups, bias=False)
    before = layer.weight.detach().clone()
    with torch.no_grad():
        dirac_init(layer)
        images = torch.rand(2, inputs, 5, 5)
        answers = layer(images).reshape(2, groups, -1, 5, 5)
    each = min(inputs, outputs) // groups
    assert torch.allclose(answers[:, :, :each], images.reshape(2, groups, -1, 5, 5)[:, :, :each], atol=1e-6)
    kept, was = (weight.reshape(groups, outputs // groups, -1)[:, each:] for weight in (layer.weight.detach(), before))
    assert torch.equal(kept, was)


def test_initialise_touches_what_it_is_told_to() -> None:
    _, plan = validate(ask(*QUICK).config).require()
    images = torch.rand(50, *plan.input_shape)

    def changed(settings: Initial) -> set[str]:
        torch.manual_seed(1)
        network = build_plan(plan)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        initialise(network, settings, images)
        return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}

    first, *others = (layer.path for layer in plan.layers if layer.kind == "Conv2d")
    assert changed(Initial()) == set()
    assert changed(Initial(first_conv="whitening")) == {f"{first}.weight", f"{first}.bias"}
    assert changed(Initial(convs="dirac")) == {f"{path}.weight" for path in others}


def test_rates_of_norms_and_biases() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3))
    optimizer = make_optimizer(SGD(lr=0.1, norm_lr_factor=4.0, bias_lr_factor=2.0), network)
    rates = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    found = {name: rates[id(parameter)] for name, parameter in network.named_parameters()}
    assert found == {
        "0.weight": 0.1, "2.weight": 0.1, "0.bias": 0.2, "2.bias": 0.2, "1.weight": 0.4, "1.bias": 0.4
    }  # fmt: skip
    assert len(make_optimizer(SGD(lr=0.1), network).param_groups) == 1


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trainer.label_smoothing=1", "trainer.label_smoothing: got 1, must be less than 1"),
        ("init.convs=direc", "init.convs: got 'direc', must be one of torch, dirac (did you mean dirac?)"),
        ("optimizer.norm_lr_factor=0", "optimizer.norm_lr_factor: got 0, must be more than 0"),
        ("+averaging.decay=0.9", "averaging.decay: unknown setting"),
    ],
)
def test_what_is_wrong_is_said(override: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(ask(override).config).require()
    assert said in str(caught.value)


def test_whitening_needs_a_first_convolution_that_sees_all_channels() -> None:
    config: dict[str, Any] = ask("init.first_conv=whitening", "init.convs=dirac", "data=mnist").config
    validate(config).require()
    config["model"]["blocks"] = {"pool": {"type": "pool", "pool": "avg"}}
    with pytest.raises(ConfigError) as caught:
        validate(config).require()
    assert "init.first_conv: got 'whitening', which needs a convolution of all channels" in str(caught.value)
    assert "init.convs: got 'dirac', but the model has no convolution" in str(caught.value)
