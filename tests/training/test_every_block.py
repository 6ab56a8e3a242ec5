"""Every block and every head, with settings drawn from their annotations: plan, folding, fusing and stacking agree."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archsearch.model.builder import build_plan
from archsearch.model.plan import Plan
from archsearch.model.tree import steps
from archsearch.training.folding import folded
from archsearch.training.fused.network import fused
from archsearch.training.stacked.network import Stack
from archsearch.training.stacked.rules import why_not_stackable
from tests.support.drawn import PARTS, Drawn, models, trained
from tests.support.training import CPU, Candidate, candidate
from tests.support.windows import covered, last_of, windowed, windows_of_blocks

Check = Callable[[Drawn, Plan], None]

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
of_every_part = pytest.mark.parametrize("part", PARTS)
of_every_block = pytest.mark.parametrize("part", [part for part in PARTS if not part.startswith("head ")])
of_every_head = pytest.mark.parametrize("part", [part for part in PARTS if part.startswith("head ")])
with_examples = pytest.mark.parametrize("examples", [4, pytest.param(200, marks=pytest.mark.slow)])


def check_models(part: str, examples: int, check: Check) -> None:
    """Call `check` with so many models with the block or head `part`, and with their plans.

    Models that are refused, or that `check` does not assume, are not counted; they may not be most of those tried.
    """
    completed = 0

    @settings(
        max_examples=examples, deadline=None, derandomize=True,
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )  # fmt: skip
    @given(models(part))
    def test(drawn: Drawn) -> None:
        nonlocal completed
        plan = drawn.plan()
        assume(plan is not None)
        assert plan is not None
        check(drawn, plan)
        completed += 1

    test()
    assert completed >= examples / 2


@of_every_part
def test_a_good_share_of_the_drawn_models_is_accepted(part: str) -> None:
    """So that no test below draws hardly anything."""
    accepted = []

    @settings(max_examples=30, deadline=None, derandomize=True, phases=[Phase.generate])
    @given(models(part))
    def test(drawn: Drawn) -> None:
        accepted.append(drawn.plan() is not None)

    test()
    assert len(accepted) >= 25 and sum(accepted) >= len(accepted) / 4


@of_every_part
@with_examples
def test_shapes_parameters_and_macs_are_those_of_the_network(part: str, examples: int) -> None:
    def check(drawn: Drawn, plan: Plan) -> None:
        network = build_plan(plan)
        shapes: dict[str, tuple[int, ...]] = {}
        for path, module in network.named_modules():
            module.register_forward_hook(lambda _m, _i, out, path=path: shapes.update({path: tuple(out.shape[1:])}))
        network.train()(torch.randn(2, *drawn.shape))  # a training step must work, too
        nodes = {step.path: step.output for node in plan.nodes for step in steps(node)}
        assert nodes == {path: shape for path, shape in shapes.items() if path in nodes}
        assert plan.output_shape == (drawn.classes,)

        called = [path for path, module in network.named_modules() if path and not list(module.children())]
        identities = [path for path in called if isinstance(network.get_submodule(path), nn.Sequential)]
        assert [layer.path for layer in plan.layers] == [path for path in called if path not in identities]
        for layer in plan.layers:
            assert sum(weight.numel() for weight in network.get_submodule(layer.path).parameters()) == layer.params

        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            network.eval()(torch.randn(1, *drawn.shape))
        assert counter.get_total_flops() == 2 * plan.macs

    check_models(part, examples, check)


@of_every_block
@with_examples
def test_the_window_and_the_jump_of_a_block_are_those_of_the_gradient(part: str, examples: int) -> None:
    side = 36

    def check(drawn: Drawn, plan: Plan) -> None:
        large = drawn.plan((drawn.shape[0], side, side))
        assume(large is not None)
        assert large is not None
        end = last_of(large.nodes[-2])
        assume(max(end.window) <= side / 2)  # the border would cut off all larger ones
        windows = windows_of_blocks(large)
        assume(windows is not None)
        assert windows is not None
        window, distances = windows
        assert window == end.window
        assert all(distance <= {jump} for distance, jump in zip(distances, end.jumps, strict=True))

    check_models(part, examples, check)


@of_every_head
@with_examples
def test_the_gradient_of_a_logit_covers_the_receptive_field(part: str, examples: int) -> None:
    def check(drawn: Drawn, plan: Plan) -> None:
        shape = drawn.shape[0], 12, 12  # windows of adaptive pooling are equal
        large = drawn.plan(shape)
        assert large is not None
        images = torch.rand(1, *shape, dtype=torch.double, requires_grad=True)
        (gradient,) = torch.autograd.grad(windowed(build_plan(large))(images)[0, 0], images)
        ((rows, columns),) = covered(gradient)
        for axis, (begin, end) in enumerate((rows, columns)):
            assert end - begin + 1 == min(large.layers[-1].window[axis], 12)

    check_models(part, examples, check)


@of_every_part
@with_examples
def test_folding_changes_neither_outputs_nor_inputs_nor_the_network(part: str, examples: int) -> None:
    def check(drawn: Drawn, plan: Plan) -> None:
        network = trained(plan, channels_last=drawn.channels_last)
        images = torch.randn(3, *drawn.shape, dtype=torch.float64)
        original, state = images.clone(), copy.deepcopy(network.state_dict())
        with torch.inference_mode():
            expected = network.eval()(images)
            outputs = folded(network)(images)
        torch.testing.assert_close(outputs, expected, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(images, original, rtol=0, atol=0)
        torch.testing.assert_close(network.state_dict(), state, rtol=0, atol=0)

    check_models(part, examples, check)


def trained_step(network: nn.Module, forward: nn.Module, images: Tensor) -> Tensor:
    """Outputs, gradients and statistics of a training step, in one vector, scaled so that each counts alike."""
    images = images.clone(memory_format=torch.preserve_format).requires_grad_()
    torch.manual_seed(3)
    network.train()
    outputs = forward(images)
    weights = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).reshape(outputs.shape)
    names, parameters = zip(*network.named_parameters(), strict=True)
    gradients = torch.autograd.grad((outputs * weights).sum(), [images, *parameters], allow_unused=True)
    assert all(gradient is not None for gradient in gradients), names
    statistics = [value for value in network.buffers() if value.is_floating_point()]
    return torch.cat([value.detach().double().flatten() for value in (outputs, *gradients, *statistics)])


def squared_means_over_variances(network: nn.Module) -> list[float]:
    """A list that the next pass through `network` fills: the largest ratio of the channels that each norm sees."""
    ratios: list[float] = []

    def look(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        variance, mean = torch.var_mean(inputs[0].detach(), dim=(0, 2, 3))
        ratios.append(float((mean.square() / (variance + norm.eps)).max()))

    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_pre_hook(look)
    return ratios


def drops_in_another_order(network: nn.Module) -> list[bool]:
    """A list that the next pass through `network` fills: whether memory has the values of a dropout channel by channel.

    Dropout draws its numbers in the order of memory, which fused layers keep, but not for all images of one pixel or
    one channel, where layouts are ambiguous.
    """
    differs: list[bool] = []

    def look(_: nn.Dropout, inputs: tuple[Tensor]) -> None:
        images = inputs[0]
        differs.append(images.dim() == 4 and not images.is_contiguous(memory_format=torch.channels_last))

    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.register_forward_pre_hook(look)
    return differs


@pytest.mark.usefixtures("one_thread")
@of_every_part
@with_examples
def test_a_fused_network_trains_like_the_plain_one(part: str, examples: int) -> None:
    """Same outputs, gradients, statistics and random numbers as the plain one in double precision.

    By the norm of all values together: a ReLU whose input is nearly 0 makes a large difference in a single one.
    Networks whose channels hardly vary are left out: from single precision's sums, their variance is inaccurate.
    """

    def check(drawn: Drawn, plan: Plan) -> None:
        single = trained(plan).float().to(memory_format=torch.channels_last)
        plain, double = copy.deepcopy(single), copy.deepcopy(single).double()
        images = torch.randn(6, *drawn.shape).to(memory_format=torch.channels_last)
        ratios, orders = squared_means_over_variances(double), drops_in_another_order(double)
        expected = trained_step(double, double, images.double())
        error = float((trained_step(plain, plain, images) - expected).norm() / expected.norm())
        assume(max(ratios, default=0) < 1e3 and not any(orders) and error < 1e-3)
        values = trained_step(single, fused(single, CPU), images)
        assert float((values - expected).norm() / expected.norm()) < 5e-3

    check_models(part, examples, check)


@of_every_part
@with_examples
def test_members_of_a_stack_compute_what_they_compute_alone(part: str, examples: int) -> None:
    """In training, in evaluation and folded; or the reason why they cannot names the layer."""
    any_settings = candidate().settings

    def check(drawn: Drawn, plan: Plan) -> None:
        members = [trained(plan, seed, channels_last=drawn.channels_last) for seed in range(2)]
        reason = why_not_stackable([Candidate(any_settings, plan)] * 2)
        if reason is not None:
            assert reason in {f"{step.path} is a {step.type_name}, which cannot be stacked" for step in plan.layers}
            with pytest.raises(ValueError, match="which cannot be stacked"):
                Stack(members, plan)
            return
        stack: Stack = Stack(members, plan).double()
        for number, network in enumerate(members):
            assert repr(stack.member(number)) == repr(network)
            torch.testing.assert_close(stack.member(number).state_dict(), network.state_dict(), rtol=0, atol=0)
        images = [torch.randn(4, *drawn.shape, dtype=torch.float64) for _ in members]
        with torch.no_grad():
            expected = torch.stack([network.eval()(values) for network, values in zip(members, images, strict=True)])
            for forward in (stack.eval(), folded(stack)):
                torch.testing.assert_close(forward(torch.cat(images, dim=1)), expected, rtol=1e-9, atol=1e-9)

        for layer in (layer for network in (stack, *members) for layer in network.modules()):
            if isinstance(layer, nn.Dropout | nn.Dropout2d):
                layer.p = 0.0  # a stack draws its random numbers for all members at once
        expected = torch.stack([network.train()(values) for network, values in zip(members, images, strict=True)])
        outputs = stack.train()(torch.cat(images, dim=1))
        torch.testing.assert_close(outputs, expected, rtol=1e-7, atol=1e-7)
        outputs.square().sum().backward()
        for number, network in enumerate(members):
            gradients = torch.autograd.grad(expected[number].square().sum(), list(network.parameters()))
            largest = max(float(gradient.abs().max()) for gradient in gradients)
            for weight, gradient in zip(stack.parameters(), gradients, strict=True):
                assert weight.grad is not None
                values = stack.part(weight.grad, number, number + 1)
                torch.testing.assert_close(values, gradient, rtol=1e-6, atol=1e-9 * (1 + largest))

    check_models(part, examples, check)
