"""The choice of the device."""

import pytest
import torch

from archsearch.errors import UserError
from archsearch.training.device import pick_device


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_torch_does_not_see_is_refused() -> None:
    with pytest.raises(UserError, match=r"trainer.device: got 'cuda', which torch does not see on this machine"):
        pick_device("cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_auto_without_a_gpu_is_mps_or_cpu() -> None:
    expected = "mps" if torch.backends.mps.is_available() else "cpu"
    assert pick_device("auto").type == expected


def test_the_cpu_can_always_be_chosen() -> None:
    assert pick_device("cpu") == torch.device("cpu")
