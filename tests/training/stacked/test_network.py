"""Networks as one stack, and back."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archsearch.data.load import Dataset
from archsearch.model.builder import build_plan
from archsearch.model.heads import GapHead
from archsearch.model.lowering import Lowering
from archsearch.model.plan import Plan
from archsearch.training.stacked.layers import MemberDropout
from archsearch.training.stacked.network import Stack
from archsearch.training.stacked.rules import why_not_stackable
from archsearch.training.stacked.scores import member_losses
from archsearch.training.stacked.setup import make_stacked_trainer
from tests.support.models import lower
from tests.support.requests import session4
from tests.support.training import CPU, member

RGB, GAP = (3, 8, 8), {"type": "gap"}


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [True, False])
def test_no_kernel_mixes_members(device: str, dtype: torch.dtype, channels_last: bool) -> None:
    """Not even by a product with zero, as a kernel for several groups at once might do: 0 x NaN is NaN."""
    torch.manual_seed(0)
    plan = lower(session4())
    members = [build_plan(plan) for _ in range(3)]
    images = torch.rand(8, 3, 28, 28, device=device)

    def gradients(*, nan: bool) -> list[Tensor]:
        """The gradients of members 0 and 2; with `nan`, beside a member 1 whose weights are all NaN."""
        stack: Stack = Stack(members, plan).to(device)
        stack = stack.to(memory_format=torch.channels_last) if channels_last else stack
        if nan:
            with torch.no_grad():
                for parameter in stack.parameters():
                    stack.part(parameter, 1, 2).fill_(float("nan"))
        torch.manual_seed(1)
        with torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
            logits = stack(images)
        losses = member_losses(logits.float(), torch.arange(8, device=device).expand(3, -1))
        assert losses.isfinite().tolist() == [True, not nan, True]
        values = torch.autograd.grad(losses.sum(), list(stack.parameters()))
        return [stack.part(value, number, number + 1).clone() for value in values for number in (0, 2)]

    torch.testing.assert_close(gradients(nan=True), gradients(nan=False))


def test_a_member_is_a_copy_that_training_does_not_change(few: Dataset) -> None:
    stack = make_stacked_trainer([member("seed=1"), member("seed=2")], few, CPU)
    copy = stack.member(1)
    before = {name: value.clone() for name, value in copy.state_dict().items()}
    next(stack.run())
    torch.testing.assert_close(copy.state_dict(), before, rtol=0, atol=0)


def test_a_member_holds_no_memory_of_the_others() -> None:
    plan = member().plan
    network = Stack([build_plan(plan) for _ in range(2)], plan).member(1)
    assert all(value.untyped_storage().nbytes() == value.nbytes for value in network.state_dict().values())


DROPOUTS = (
    ("model.dropout=0",),
    ("model.dropout=0.1", "+model.head.dropout=0.2"),
    ("model.dropout=0.1", "+model.dropout_kind=element", "+model.order=[dropout,conv,activation,norm]"),
    ("+model.blocks.conv2.dropout=0.3",),
)


@pytest.fixture(scope="module")
def mixed() -> Stack:
    """Members with dropout in different places."""
    plans = [member(*overrides).plan for overrides in DROPOUTS]
    return Stack([build_plan(plan) for plan in plans], plans[1])


def test_members_keep_their_dropout_layers_in_place(mixed: Stack) -> None:
    for number, overrides in enumerate(DROPOUTS):
        layers = [
            (path, type(layer).__name__)
            for path, layer in mixed.member(number).named_modules()
            if not isinstance(layer, nn.Sequential)
        ]
        assert layers == [(layer.path, layer.kind) for layer in member(*overrides).plan.layers]


def test_dropout_that_some_members_lack_has_rate_0_for_them(mixed: Stack) -> None:
    dropouts = {(layer.channel, layer.rates) for layer in mixed if isinstance(layer, MemberDropout)}
    assert dropouts == {
        (True, (0.0, 0.1, 0.0, 0.0)),
        (True, (0.0, 0.1, 0.0, 0.3)),
        (False, (0.0, 0.2, 0.0, 0.0)),
        (False, (0.0, 0.0, 0.1, 0.0)),
    }


def test_members_with_dropout_in_different_places_train(few: Dataset) -> None:
    stack = make_stacked_trainer([member(*overrides) for overrides in DROPOUTS], few, CPU)
    next(stack.run())
    assert not stack.failures


def test_one_channel_weighs_those_of_its_own_member_only() -> None:
    branches = {"input": {}, "weights": {"conv": {"channels": 1, "kernel_size": 1}}}
    plan = lower({"blocks": {"gate": {"type": "parallel", "join": "multiply", "branches": branches}}, "head": GAP}, RGB)
    members = [build_plan(plan).eval() for _ in range(2)]
    images = torch.randn(4, *RGB)
    expected = torch.stack([network(images) for network in members])
    torch.testing.assert_close(Stack(members, plan).eval()(images.repeat(1, 2, 1, 1)), expected)


def test_a_layer_that_mixes_channels_is_refused() -> None:
    plan = lower({"blocks": {"gate": {"type": "spatial_attention", "kernel_size": 3}}, "head": GAP})
    with pytest.raises(ValueError, match=r"gate\S* is a ChannelStatistics, which cannot be stacked"):
        Stack([build_plan(plan)], plan)


def test_networks_with_different_layers_are_refused() -> None:
    plans = [lower({"blocks": {"a": {"channels": channels}}, "head": GAP}) for channels in (1, 2)]
    with pytest.raises(ValueError, match=r"must have the same layers, but differ in a.conv \(Conv2d\)"):
        Stack([build_plan(plan) for plan in plans], plans[0])


def plan_with_scale(**properties: Any) -> Plan:
    """A layer of one's own, and a head."""
    lowering = Lowering(RGB)
    with lowering.block("scale", ""):
        lowering.add("scale", "tests.support.networks:Scale", {"channels": 3}, 3, **properties)
    with lowering.block("head", ""):
        GapHead().lower(lowering, 10)
    return Plan(RGB, tuple(lowering.nodes))


def test_a_layer_of_ones_own_is_stacked_if_it_says_what_counts_its_channels() -> None:
    plan = plan_with_scale(channel_counts=("channels",))
    assert why_not_stackable([replace(member(), plan=plan)] * 2) is None
    members = [build_plan(plan) for _ in range(2)]
    stack: Stack = Stack(members, plan)
    images = torch.randn(4, *RGB)
    expected = torch.stack([network(images) for network in members])
    torch.testing.assert_close(stack(images.repeat(1, 2, 1, 1)), expected)
    torch.testing.assert_close(stack.member(1).state_dict(), members[1].state_dict(), rtol=0, atol=0)


def test_a_layer_of_ones_own_is_not_stacked_by_default() -> None:
    reason = why_not_stackable([replace(member(), plan=plan_with_scale())])
    assert reason == "scale.scale is a Scale, which cannot be stacked"


def test_what_counts_channels_is_an_argument() -> None:
    with pytest.raises(ValueError, match=r"`channel_counts` must name arguments of \S+Scale, got chanels"):
        plan_with_scale(channel_counts=("chanels",))


def test_a_stack_leaves_the_random_numbers_as_they_are() -> None:
    plan = member().plan
    networks = [build_plan(plan) for _ in range(2)]
    before = torch.random.get_rng_state()
    Stack(networks, plan)
    assert torch.equal(torch.random.get_rng_state(), before)
