"""The state of a stack's member, from which it continues alone."""

from pathlib import Path

import pytest
import torch

from archsearch.data.load import Dataset
from archsearch.training.stacked.setup import make_stacked_trainer
from archsearch.training.stacked.states import member_state
from tests.support.training import CPU, STACKABLE, assert_close, member, trainer_of

VARIANTS = [
    ("seed=1", "optimizer.norm_lr_factor=2"),
    ("seed=2", "optimizer.lr=0.05"),
    ("seed=3", "optimizer.norm_lr_factor=2"),
    ("seed=4", "optimizer.norm_lr_factor=2"),
]


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize(
    "common",
    [
        ("averaging=ema",),
        ("scheduler=multistep", "scheduler.milestones=[1]", "averaging=lookahead"),
        ("scheduler=cosine", "optimizer=adam", "optimizer.lr=0.01"),
    ],
)
def test_each_member_continues_alone_to_the_numbers_of_a_single_run(
    few: Dataset, tmp_path: Path, common: tuple[str, ...]
) -> None:
    variants = [("trainer.epochs=3", *common, *overrides) for overrides in VARIANTS]
    stack = make_stacked_trainer([member(*overrides) for overrides in variants], few, CPU)
    first = next(stack.run())
    for number, overrides in enumerate(variants):
        torch.save(member_state(stack, number), tmp_path / "state.pt")
        trainer = trainer_of(few, *STACKABLE, *overrides)
        trainer.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        uninterrupted = list(trainer_of(few, *STACKABLE, *overrides).run())
        assert_close([first[number], *trainer.run()], uninterrupted)
