"""The parameter groups of a stack's optimizer."""

from archsearch.data.load import Dataset
from archsearch.training.stacked.setup import make_stacked_trainer
from tests.support.training import CPU, member


def test_members_with_equal_settings_are_one_group_over_whole_tensors(few: Dataset) -> None:
    stack = make_stacked_trainer([member(f"seed={seed}") for seed in (1, 2, 3)], few, CPU)
    (group,) = stack.optimizer.param_groups
    assert [view.shape for view in group["params"]] == [whole.shape for whole in stack.network.parameters()]


def test_only_adjacent_members_with_equal_settings_share_tensors(few: Dataset) -> None:
    stack = make_stacked_trainer([member(f"optimizer.lr={lr}") for lr in (0.1, 0.2, 0.2, 0.1)], few, CPU)
    count = len(list(stack.network.parameters()))
    assert [len(group["params"]) for group in stack.optimizer.param_groups] == [2 * count, count]
