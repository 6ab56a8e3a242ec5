"""Which candidates can be stacked."""

import subprocess
import sys
from dataclasses import replace
from typing import get_args

import pytest

from archsearch.data.load import Dataset
from archsearch.model.blocks.base import Activation
from archsearch.model.blocks.conv import Pool
from archsearch.training.stacked.rules import why_not_stackable
from archsearch.training.stacked.setup import make_stacked_trainer
from tests.support.models import lower
from tests.support.training import CPU, member


@pytest.mark.parametrize(
    "override",
    [
        "seed=2",
        "init.convs=dirac",
        "model.dropout=0.1",
        "+model.head.dropout=0.2",
        "trainer.label_smoothing=0.1",
        "optimizer.lr=0.01",
        "tracking=none",
    ],
)
def test_what_belongs_to_a_member_may_differ(override: str) -> None:
    assert why_not_stackable([member(), member(override)]) is None


def test_mixed_images_cannot_be_stacked() -> None:
    reason = why_not_stackable([member("augment=mixup"), member("augment=mixup", "seed=2")])
    assert reason == "augment.mixup mixes the images of a batch, which a stack cannot"


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("optimizer=adam", "the same optimizer.type, but have 'sgd' and 'adam'"),
        ("scheduler=cosine", "the same scheduler.type, but have 'one_cycle' and 'cosine'"),
        ("scheduler.pct_start=0.4", "the same scheduler.pct_start, but have 0.3 and 0.4"),
        ("trainer.epochs=3", "the same trainer.epochs, but have 2 and 3"),
        ("trainer.batch_size=64", "the same trainer.batch_size, but have 32 and 64"),
        ("trainer.precision=bfloat16", "the same trainer.precision, but have 'float32' and 'bfloat16'"),
        ("augment=affine", "the same augment.affine.degrees, but have null and 10.0"),
        ("averaging=ema", "the same averaging.type, but have 'none' and 'ema'"),
        ("data.split_seed=7", "the same data.split_seed, but have 0 and 7"),
        ("model.blocks.conv2.channels=20", "the same out_channels in conv2.conv, but have 4 and 8"),
        (
            "+model.activation=gelu",
            "the same layers except for dropout, but have conv1.activation (ReLU) and conv1.activation (GELU)"
            " in the same place",
        ),
        (
            "+model.head.hidden=[20]",
            "the same layers except for dropout, but have head.linear (Linear) and head.hidden1 (Linear)"
            " in the same place",
        ),
    ],
)
def test_what_must_be_equal_is_named_with_both_values(override: str, reason: str) -> None:
    candidates = [member(), member("seed=2"), member(override)]
    assert why_not_stackable(candidates) == f"members 1 and 3 of a stack must have {reason}"


def test_candidates_that_cannot_be_stacked_are_refused_with_the_reason(few: Dataset) -> None:
    with pytest.raises(ValueError, match=r"members 1 and 2 of a stack must have the same trainer\.epochs"):
        make_stacked_trainer([member(), member("trainer.epochs=3")], few, CPU)


def test_an_empty_stack_is_refused() -> None:
    assert why_not_stackable([]) == "there is nothing to stack"


def test_a_layer_of_which_nothing_is_known_is_refused() -> None:
    candidate = member()
    layers = (candidate.plan.layers[0], replace(candidate.plan.layers[1], channel_counts=None))
    unknown = replace(candidate, plan=replace(candidate.plan, nodes=layers))
    assert why_not_stackable([unknown]) == "conv1.activation is a ReLU, which cannot be stacked"


@pytest.mark.parametrize(
    "block",
    [
        *({"channels": 4, "norm": "none", "activation": activation} for activation in get_args(Activation)),
        *({"type": "pool", "pool": pool} for pool in get_args(Pool) if pool != "none"),
    ],
)
def test_every_activation_and_pooling_can_be_stacked(block: dict[str, object]) -> None:
    plan = lower({"blocks": {"block": block}, "head": {"type": "gap"}})
    assert why_not_stackable([replace(member(), plan=plan)]) is None


@pytest.mark.e2e
def test_stacks_need_neither_hydra_nor_mlflow_and_the_rules_not_even_torch() -> None:
    """A machine with a GPU and little else can train a stack."""
    code = """
import sys
for name in ("hydra", "omegaconf", "mlflow", "sklearn", "torchvision", "matplotlib"):
    sys.modules[name] = None
import archsearch.training.stacked.rules
assert "torch" not in sys.modules
import archsearch.training.stacked.trainer, archsearch.model.builder, archsearch.data.augment.pipeline
import archsearch.training.cuda_graphs
"""
    subprocess.run([sys.executable, "-c", code], check=True)
