"""What a stack is made of: its layers, its network, its optimizer, its batches; and what cannot be stacked."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from archsearch.data.batches import ImageSet
from archsearch.data.load import Dataset
from archsearch.errors import ConfigError
from archsearch.model.builder import build_plan
from archsearch.model.plan import _ACTIVATIONS, _POOLS
from archsearch.training.folding import folded
from archsearch.training.stacked.layers import MemberDropout
from archsearch.training.stacked.network import Stack
from archsearch.training.stacked.rules import CHANNELWISE, why_not_stackable
from archsearch.training.stacked.scores import member_losses
from archsearch.training.stacked.setup import make_stacked_trainer
from tests.support.models import BLOCKS, HEADS, lower, trained
from tests.support.requests import session4
from tests.support.stacks import CPU, experiment


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("last", [True, False])
def test_no_kernel_mixes_members(device: str, kind: torch.dtype, last: bool) -> None:
    """Not even by a product with zero, as a kernel that takes several groups at once might do: 0 x NaN is NaN."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    torch.manual_seed(0)
    networks = [build_plan(lower(session4())) for _ in range(3)]
    images = torch.rand(8, 3, 28, 28, device=device)

    def gradients(poisoned: bool) -> list[Tensor]:
        stack: Stack = Stack(networks).to(device)
        stack = stack.to(memory_format=torch.channels_last) if last else stack
        if poisoned:
            with torch.no_grad():
                for parameter in stack.parameters():
                    stack.part(parameter, 1, 2).fill_(float("nan"))
        torch.manual_seed(1)
        with torch.autocast(device, dtype=kind, enabled=kind != torch.float32):
            logits = stack(images)
        losses = member_losses(logits.float(), torch.arange(8, device=device).expand(3, -1))
        assert losses.isfinite().tolist() == [True, not poisoned, True]
        found = torch.autograd.grad(losses.sum(), list(stack.parameters()))
        return [stack.part(value, *which).clone() for value in found for which in ((0, 1), (2, 3))]

    for clean, beside_nan in zip(gradients(False), gradients(True), strict=True):
        torch.testing.assert_close(beside_nan, clean)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    blocks=st.lists(BLOCKS, min_size=1, max_size=4),
    head=HEADS,
    size=st.sampled_from([(1, 28, 28), (3, 19, 24), (2, 9, 7)]),
    last=st.booleans(),
)
def test_a_stack_computes_what_its_members_compute(
    blocks: list[dict[str, Any]], head: dict[str, Any], size: tuple[int, int, int], last: bool
) -> None:
    """Whatever they are made of, trained or folded; and gives them back."""
    model = {"blocks": {f"b{i}": block for i, block in enumerate(blocks)}, "head": head}
    try:
        networks = [trained(model, size, last) for _ in range(3)]
    except ConfigError:
        assume(False)
    for number, network in enumerate(networks):
        assert isinstance(network, nn.Sequential)
        for value in network.state_dict().values():
            value.mul_(1 + number)
    stack = Stack([network for network in networks if isinstance(network, nn.Sequential)]).double()
    images = [torch.randn(4, *size, dtype=torch.float64) for _ in networks]
    with torch.no_grad():
        expected = torch.stack([network.eval()(each) for network, each in zip(networks, images, strict=True)])
        for each in (stack.eval(), folded(stack)):
            torch.testing.assert_close(each(torch.cat(images, dim=1)), expected, rtol=1e-9, atol=1e-9)
    for number, network in enumerate(networks):
        again = stack.member(number)
        assert repr(again) == repr(network)
        torch.testing.assert_close(again.state_dict(), network.state_dict(), rtol=0, atol=0)


def test_a_member_that_was_taken_out_is_a_copy(few: Dataset) -> None:
    stack = make_stacked_trainer([experiment("seed=1"), experiment("seed=2")], few, CPU)
    taken = stack.member(1)
    before = {name: value.clone() for name, value in taken.state_dict().items()}
    next(stack.run())
    torch.testing.assert_close(taken.state_dict(), before, rtol=0, atol=0)
    # Small: not a view into the weights of all.
    assert all(value.untyped_storage().nbytes() == value.nbytes for value in taken.state_dict().values())


def test_each_member_sees_its_images_in_its_own_order(few: Dataset) -> None:
    images = ImageSet.of(few.info, few.train_images, few.train_labels, CPU, channels_last=True).only(
        torch.arange(65).numpy()
    )

    def orders() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in (1, 2, 3)]

    def doubled(pixels: Tensor) -> Tensor:
        assert pixels.shape[1:] == (1, 28, 28)
        return pixels * 2

    found = list(images.shuffled_side_by_side(32, orders(), doubled))
    expected = [list(images.shuffled(32, order, doubled)) for order in orders()]
    assert len(found) == images.steps(32) == 2  # a last batch of a single image is left out
    for batch, (pixels, labels) in enumerate(found):
        for member in range(3):
            assert torch.equal(pixels[:, member : member + 1], expected[member][batch][0])
            assert torch.equal(labels[member], expected[member][batch][1])


@pytest.mark.parametrize(
    ("shape", "channel"), [((400, 3 * 5, 4, 4), True), ((100, 3 * 5, 4, 4), False), ((3, 400, 20), False)]
)
def test_each_member_drops_at_its_own_rate(shape: tuple[int, ...], channel: bool) -> None:
    torch.manual_seed(0)
    rates = (0.0, 0.25, 0.75)
    layer, values = MemberDropout(rates, channel), torch.ones(shape)
    if len(shape) == 4:
        values = values.to(memory_format=torch.channels_last)
    dropped = layer(values)
    assert dropped.shape == shape and dropped.stride() == values.stride()
    members = dropped.unbind(0) if len(shape) == 3 else dropped.unflatten(1, (3, -1)).unbind(1)
    for member, rate in zip(members, rates, strict=True):
        decided = member[..., 0, 0] if channel else member
        assert (decided == 0).double().mean().item() == pytest.approx(rate, abs=4 * (0.25 / decided.numel()) ** 0.5)
        kept = member[member != 0]
        torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rate)))
        assert not channel or torch.equal(member, member[..., :1, :1].expand_as(member))
    assert layer.eval()(values) is values


def test_members_may_have_dropout_in_different_places(few: Dataset) -> None:
    overrides = (
        ("model.dropout=0",),
        ("model.dropout=0.1", "+model.head.dropout=0.2"),
        ("model.dropout=0.1", "+model.dropout_kind=element", "+model.order=[dropout,conv,activation,norm]"),
        ("+model.blocks.conv2.dropout=0.3",),
    )
    experiments = [experiment(*own) for own in overrides]
    assert why_not_stackable(experiments[:2]) is None
    assert why_not_stackable(experiments) is None
    stack = make_stacked_trainer(experiments, few, CPU)
    for number, one in enumerate(experiments):
        wanted = [(layer.path, layer.kind) for layer in one.plan.layers]
        have = [
            (path, type(layer).__name__)
            for path, layer in stack.member(number).named_modules()
            if not isinstance(layer, nn.Sequential)
        ]
        assert have == wanted
    next(stack.run())
    rates = {(layer.channel, layer.rates) for layer in stack.network if isinstance(layer, MemberDropout)}
    by_channel, by_element = ({each for channel, each in rates if channel is kind} for kind in (True, False))
    assert by_channel == {(0.0, 0.1, 0.0, 0.0), (0.0, 0.1, 0.0, 0.3)}
    assert by_element == {(0.0, 0.2, 0.0, 0.0), (0.0, 0.0, 0.1, 0.0)}


def test_the_same_settings_are_one_group_over_whole_tensors(few: Dataset) -> None:
    stack = make_stacked_trainer([experiment(f"seed={seed}") for seed in (1, 2, 3)], few, CPU)
    (group,) = stack.optimizer.param_groups
    assert [view.shape for view in group["params"]] == [whole.shape for whole in stack.network.parameters()]
    mixed = [experiment(f"optimizer.lr={lr}") for lr in (0.1, 0.2, 0.2, 0.1)]
    stack = make_stacked_trainer(mixed, few, CPU)
    count = len(list(stack.network.parameters()))
    assert [len(group["params"]) for group in stack.optimizer.param_groups] == [2 * count, count]


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("optimizer=adam", "the same optimizer.type, and have 'sgd' and 'adam'"),
        ("scheduler=cosine", "the same scheduler.type, and have 'one_cycle' and 'cosine'"),
        ("scheduler.pct_start=0.4", "the same scheduler.pct_start, and have 0.3 and 0.4"),
        ("trainer.epochs=3", "the same trainer.epochs, and have 2 and 3"),
        ("trainer.batch_size=64", "the same trainer.batch_size, and have 32 and 64"),
        ("trainer.precision=bfloat16", "the same trainer.precision, and have 'float32' and 'bfloat16'"),
        ("augment=affine", "the same augment.type, and have 'none' and 'affine'"),
        ("averaging=ema", "the same averaging.type, and have 'none' and 'ema'"),
        ("data.split_seed=7", "the same data.split_seed, and have 0 and 7"),
        ("model.blocks.conv2.channels=20", "the same out_channels in conv2.conv, and have"),
        ("+model.activation=gelu", r"have conv1.activation \(ReLU\) and conv1.activation \(GELU\) in the same place"),
        ("+model.head.hidden=[20]", r"have head.linear \(Linear\) and head.hidden1 \(Linear\) in the same place"),
    ],
)
def test_what_cannot_be_stacked_has_its_reason(override: str, reason: str, few: Dataset) -> None:
    experiments = [experiment(), experiment("seed=2"), experiment(override)]
    found = why_not_stackable(experiments)
    assert found is not None and found.startswith("members 1 and 3 of a stack must have ")
    with pytest.raises(ValueError, match=reason):
        make_stacked_trainer(experiments, few, CPU)


def test_layers_that_nobody_has_thought_of_are_not_stacked() -> None:
    one = experiment()
    odd = replace(one.plan.layers[1], kind="Softmax2d")
    strange = replace(one, plan=replace(one.plan, layers=(one.plan.layers[0], odd)))
    assert why_not_stackable([strange]) == "conv1.activation is a Softmax2d, which cannot be stacked"
    with pytest.raises(ValueError, match="0 is a Softmax2d, which cannot be stacked"):
        Stack([nn.Sequential(nn.Softmax2d())])
    with pytest.raises(ValueError, match=r"must have the same layers, and differ in 0 \(Conv2d\)"):
        Stack([nn.Sequential(nn.Conv2d(1, channels, 3)) for channels in (1, 2)])
    assert why_not_stackable([]) == "there is nothing to stack"
    assert {*_ACTIVATIONS.values(), *_POOLS.values(), "AdaptiveAvgPool2d"} == CHANNELWISE


def test_it_needs_neither_hydra_nor_mlflow_and_the_rules_not_even_torch() -> None:
    """So that a machine with a GPU and little else can train a stack."""
    code = """
import sys
for name in ("hydra", "omegaconf", "mlflow", "sklearn", "torchvision", "matplotlib"):
    sys.modules[name] = None
import archsearch.training.stacked.rules
assert "torch" not in sys.modules
import archsearch.training.stacked.trainer, archsearch.model.builder, archsearch.data.augment
import archsearch.training.cuda_graphs
"""
    subprocess.run([sys.executable, "-c", code], check=True)
