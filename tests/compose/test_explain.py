"""Errors of command lines that Hydra rejects."""

import pytest

from archsearch.compose.explain import explain
from archsearch.compose.overrides import complete_arguments
from tests.support.requests import ask


def explanations(*arguments: str) -> list[str]:
    """The errors for a command line that Hydra rejects."""
    try:
        ask(*complete_arguments(arguments))
    except Exception as error:
        return [str(problem) for problem in explain(error, arguments).problems]
    raise AssertionError("Hydra accepted the command line")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "model=sesion4",
            "model: got 'sesion4', must be one of session4, session4_conv_head, session4_end_dropout, session4_gap,"
            " session5_step1 (did you mean session4?)",
        ),
        ("trainer.epocs=3", "trainer.epocs: unknown setting (did you mean epochs?)"),
        ("trainr.epochs=3", "trainr: unknown setting (did you mean trainer?)"),
        ("modle=session4", "modle: unknown setting (did you mean model?)"),
        ("model.head.hiden=[3]", "model.head.hiden: unknown setting (did you mean hidden?)"),
        (
            "model.blocks.covn3.channels=4",
            "model.blocks.covn3: unknown block (did you mean conv3?); +model.blocks.covn3={channels: ...} adds one",
        ),
        (
            "~model.blocks.trans9",
            "model.blocks.trans9: unknown block (did you mean trans2?); +model.blocks.trans9={channels: ...} adds one",
        ),
    ],
)
def test_a_misspelt_setting_has_a_suggestion(argument: str, message: str) -> None:
    assert explanations(argument) == [message]


def test_all_errors_of_a_command_line_are_reported_at_once() -> None:
    problems = explanations(
        "model=sesion4", "trainer.epocs=3", "modle=session4", "model.blocks.conv3.padding=sme", "seed=x"
    )
    assert [problem.split(":")[0] for problem in problems] == [
        "model",
        "trainer.epocs",
        "modle",
        "model.blocks.conv3.padding",
        "seed",
    ]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("trainer=null", "trainer: got null, must be one of default"),
        ("model.blocks={conv1:{kernel_size:28}}", "model.blocks: "),
        ("seed=[1", "seed: "),
    ],
)
def test_other_errors_have_hydras_message(argument: str, message: str) -> None:
    (problem,) = explanations(argument)
    assert problem.startswith(message)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("augment=[1,2]", "augment: got [1,2], must be one of affine, none"),
        ("optimizer={a:1}", "optimizer: got {a:1}, must be one of adam, adamw, sgd"),
        (
            "model.head={type:linear,hidden:[32]}",
            "model.head: got {type:linear,hidden:[32]}, must be set by its settings, as in model.head.type=...",
        ),
    ],
)
def test_a_group_cannot_be_replaced_by_a_value(argument: str, message: str) -> None:
    assert explanations(argument) == [message]
