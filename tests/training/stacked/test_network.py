"""Networks as one stack, and back."""

import pytest
import torch
from torch import Tensor, nn

from archsearch.data.load import Dataset
from archsearch.model.builder import build_plan
from archsearch.training.stacked.layers import MemberDropout
from archsearch.training.stacked.network import Stack
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
        stack: Stack = Stack(members).to(device)
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
    network = Stack([build_plan(member().plan) for _ in range(2)]).member(1)
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
    return Stack([build_plan(member(*overrides).plan) for overrides in DROPOUTS])


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
    torch.testing.assert_close(Stack(members).eval()(images.repeat(1, 2, 1, 1)), expected)


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="0 is a Softmax2d, which cannot be stacked"):
        Stack([nn.Sequential(nn.Softmax2d())])


def test_networks_with_different_layers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have the same layers, but differ in 0 \(Conv2d\)"):
        Stack([nn.Sequential(nn.Conv2d(1, channels, 3)) for channels in (1, 2)])
