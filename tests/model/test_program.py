"""Networks as programs of torch.export."""

import pytest
import torch
from torch import Tensor

from archsearch.model.program import program_of
from tests.support.networks import Net, network


class Branching(Net):
    """A network that torch.export cannot export, because its code depends on the values of images."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        return logits * 2 if logits.sum().item() > 0 else logits


def test_a_program_takes_batches_of_any_size_and_is_in_eval_mode() -> None:
    exported = network()
    program = program_of(exported, torch.zeros(2, 1, 28, 28)).module()
    for count in (1, 2, 7):
        images = torch.rand(count, 1, 28, 28)
        torch.testing.assert_close(program(images), exported.eval()(images))


def test_it_does_not_say_where_the_code_is_on_this_machine() -> None:
    program = program_of(network(), torch.zeros(2, 1, 28, 28))
    assert not any("stack_trace" in node.meta for node in program.graph.nodes)


def test_what_torch_prints_of_a_network_that_it_cannot_export_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exception, match="data-dependent"):
        program_of(Branching(), torch.zeros(2, 1, 28, 28))
    assert capfd.readouterr() == ("", "")
