"""The layers of members side by side."""

import pytest
import torch
from torch import Tensor

from archsearch.training.stacked.layers import MemberDropout

RATES = (0.0, 0.25, 0.75)
CASES = pytest.mark.parametrize(
    ("shape", "channel"), [((400, 3 * 5, 4, 4), True), ((100, 3 * 5, 4, 4), False), ((3, 400, 20), False)]
)


def dropped(shape: tuple[int, ...], channel: bool) -> tuple[Tensor, Tensor]:
    """Ones of `shape`, and what dropout makes of them."""
    torch.manual_seed(0)
    values = torch.ones(shape)
    if len(shape) == 4:
        values = values.to(memory_format=torch.channels_last)
    return values, MemberDropout(RATES, channel)(values)


def by_member(values: Tensor) -> tuple[Tensor, ...]:
    return values.unbind(0) if values.dim() == 3 else torch.unflatten(values, 1, (3, -1)).unbind(1)


@CASES
def test_each_member_drops_at_its_own_rate(shape: tuple[int, ...], channel: bool) -> None:
    for values, rate in zip(by_member(dropped(shape, channel)[1]), RATES, strict=True):
        draws = values[..., 0, 0] if channel else values
        assert (draws == 0).double().mean().item() == pytest.approx(rate, abs=4 * (0.25 / draws.numel()) ** 0.5)


@CASES
def test_kept_values_are_scaled_by_their_members_rate(shape: tuple[int, ...], channel: bool) -> None:
    for values, rate in zip(by_member(dropped(shape, channel)[1]), RATES, strict=True):
        kept = values[values != 0]
        torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rate)))


def test_channel_dropout_drops_whole_channels() -> None:
    for values in by_member(dropped((400, 3 * 5, 4, 4), channel=True)[1]):
        assert torch.equal(values, values[..., :1, :1].expand_as(values))


@CASES
def test_shape_and_memory_layout_stay(shape: tuple[int, ...], channel: bool) -> None:
    values, outputs = dropped(shape, channel)
    assert outputs.shape == shape
    assert outputs.stride() == values.stride()


def test_in_eval_mode_nothing_is_dropped() -> None:
    values = torch.ones(2, 6, 4, 4)
    assert MemberDropout(RATES, channel=True).eval()(values) is values
