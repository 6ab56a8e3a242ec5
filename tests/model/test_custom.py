"""Networks of one's own are counted with hooks."""

import pytest
import torch
from torch import Tensor, nn

import archsearch
from archsearch.model.custom import CountedPlan, count_network
from tests.support.networks import network


def test_counting_changes_neither_the_network_nor_torchs_random_state() -> None:
    counted = network()
    before = {name: value.clone() for name, value in counted.state_dict().items()}
    torch.manual_seed(8)
    expected = torch.rand(1)
    torch.manual_seed(8)
    plan = count_network(counted, (1, 28, 28), 10, channels_last=True)
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(value, before[name]) for name, value in counted.state_dict().items())
    assert isinstance(plan, CountedPlan) and plan.output_shape == (10,)


def test_macs_are_those_of_one_image_wherever_the_batch_is() -> None:
    class Sequences(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.linear = nn.Linear(28, 16), nn.Linear(16, 10)

        def forward(self, images: Tensor) -> Tensor:
            rows = self.embedding(images.squeeze(1).transpose(0, 1))  # (rows, batch, features)
            logits: Tensor = self.linear(rows.mean(0))
            return logits

    assert count_network(Sequences(), (1, 28, 28), 10, channels_last=False).macs == 28 * 28 * 16 + 160


def test_frozen_parameters_are_counted_and_named() -> None:
    frozen = network()
    frozen.stem.requires_grad_(False)
    plan = count_network(frozen, (1, 28, 28), 10, channels_last=True)
    assert (plan.params, plan.trainable_params) == (235, 135)
    assert "Non-trainable params: 100" in archsearch.layer_table(plan)


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.Conv2d(4, 8, 3, groups=2), (4, 10, 10), 8 * 8 * 8 * 2 * 9),
        (nn.ConvTranspose2d(4, 8, 3), (4, 10, 10), 4 * 100 * 8 * 9),
        (nn.Linear(10, 7), (4, 10), 4 * 10 * 7),
    ],
)
def test_macs_of_layers(layer: nn.Module, shape: tuple[int, ...], macs: int) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, images: Tensor) -> Tensor:
            output: Tensor = self.layer(images.reshape(len(images), *shape))
            return output.flatten(1)[:, :10]

    size = int(torch.tensor(shape).prod())
    assert count_network(Wrapped(), (1, 1, size), 10, channels_last=False).macs == macs
