"""Errors of command lines that Hydra rejects."""

import shutil
from pathlib import Path

import pytest
from hydra.errors import HydraException

from archsearch.compose.composition import compose_config, composed_sweep
from archsearch.compose.explain import explain
from archsearch.compose.option_files import group_options
from archsearch.compose.overrides import complete_arguments, config_folder

TRANSFORMS = ", ".join(group_options()["augment"])


def explanations(*arguments: str) -> list[str]:
    """The errors for a command line that Hydra rejects."""
    try:
        compose_config(complete_arguments(arguments))
    except Exception as error:
        return [str(problem) for problem in explain(error, arguments).problems]
    raise AssertionError("Hydra accepted the command line")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "model=sesion4",
            f"model: got 'sesion4', must be one of {', '.join(group_options()['model'])} (did you mean session4?)",
        ),
        ("trainer.epocs=3", "trainer.epocs: unknown setting (did you mean epochs?)"),
        ("trainr.epochs=3", "trainr: unknown setting (did you mean trainer?)"),
        ("modle=session4", "modle: unknown setting (did you mean model?)"),
        ("model.head.hiden=[3]", "model.head.hiden: unknown setting (did you mean hidden?)"),
        (
            "model.blocks.covn3.channels=4",
            'model.blocks.covn3: unknown block (did you mean conv3?); "+model.blocks.covn3={channels: ...}" adds one',
        ),
        (
            "model.blocks.extra={channels: 8, after: conv2}",
            'model.blocks.extra: unknown block; "+model.blocks.extra={channels: 8, after: conv2}" adds one',
        ),
        ("~model.blocks.trans9", "model.blocks.trans9: unknown block (did you mean trans2?)"),
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
    ],
)
def test_other_errors_have_hydras_message(argument: str, message: str) -> None:
    (problem,) = explanations(argument)
    assert problem.startswith(message)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("data.root=/dé", """data.root: got /dé, must have quotes around special characters: "data.root='/dé'\""""),
        ("seed=[1", "seed: got [1, must have its brackets in pairs, and special characters in quotes"),
        (
            "+model.blocks.a={type: é}",
            "model.blocks.a: got {type: é}, must have its brackets in pairs, and special characters in quotes",
        ),
        ("+model.blocks.é={channels: 3}", "model.blocks.é: a name must consist of letters from A to Z, digits and _"),
    ],
)
def test_what_hydras_grammar_does_not_allow_is_said_in_our_words(argument: str, message: str) -> None:
    assert explanations(argument, "trainer.epocs=3") == [
        message, "trainer.epocs: unknown setting (did you mean epochs?)",
    ]  # fmt: skip


def test_a_setting_whose_value_is_refused_has_no_other_error() -> None:
    (problem,) = explanations("data=image_folder", "data.root=~/photographs", "data.size=32")
    assert problem.startswith("data.root: got ~/photographs, must have quotes")


def test_an_option_with_special_characters_needs_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "conf" / "model"
    folder.mkdir(parents=True)
    shutil.copy(config_folder() / "model" / "session4.yaml", folder / "modèle.yaml")
    advice = """must have quotes around special characters: "model='modèle'"""
    assert explanations("model=modèle") == [f'model: got modèle, {advice}"']
    assert compose_config(complete_arguments(["model='modèle'"])).model.width == 1
    assert explanations("-m", "model=modèle,lenet5") == [f'model: got modèle,lenet5, {advice},lenet5"']
    assert explanations("model=modéle")[0].endswith("(did you mean modèle?)")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("augment=[1,2]", f"augment: got [1,2], must be one of {TRANSFORMS}"),
        ("augment=[crop,flop]", f"augment: got 'flop', must be one of {TRANSFORMS} (did you mean flip?)"),
        ("optimizer={a:1}", "optimizer: got {a:1}, must be one of adam, adamw, sgd"),
        (
            "model.head={type:linear,hidden:[32]}",
            "model.head: got {type:linear,hidden:[32]}, must be set by its settings: model.head.type=linear"
            " model.head.hidden=[32]",
        ),
        (
            "model.blocks.conv1={channels: 8, kernel_size: [3, 1]}",
            "model.blocks.conv1: got {channels: 8, kernel_size: [3, 1]}, must be set by its settings:"
            ' model.blocks.conv1.channels=8 "model.blocks.conv1.kernel_size=[3, 1]"',
        ),
        ("model.head=[1]", "model.head: got [1], must be set by its settings, as in model.head.type=..."),
        ("model.blocks=[]", "model.blocks: got [], must be set by its settings, as in model.blocks.conv1.channels=..."),
        ("model.dropout.rate=0.1", "model.dropout.rate: unknown setting, because model.dropout is 0.1"),
    ],
)
def test_a_group_cannot_be_replaced_by_a_value(argument: str, message: str) -> None:
    assert explanations(argument) == [message]


@pytest.mark.parametrize(
    ("argument", "setting"),
    [
        ("conv3.channels=8", "model.blocks.conv3.channels"),
        ("conv3.chanels=8", "model.blocks.conv3.channels"),
        ("model.conv3.channels=8", "model.blocks.conv3.channels"),
        ("blocks.conv3.channels=8", "model.blocks.conv3.channels"),
        ("channels=8", "model.blocks.NAME.channels"),
        ("trainer.lr=0.1", "optimizer.lr"),
        ("wd=0.1", "optimizer.weight_decay"),
        ("optimizer.wd=0.1", "optimizer.weight_decay"),
        ("data.path=x", "data.root"),
        ("opt=adam", "optimizer"),
        ("model.head.kind=gap", "model.head.type"),
        ("gamma=0.1", "scheduler.gamma, with scheduler=multistep"),
    ],
)
def test_a_setting_in_the_wrong_place_or_by_another_name_gets_its_path(argument: str, setting: str) -> None:
    (problem,) = explanations(argument)
    assert problem.endswith(f": unknown setting (did you mean {setting}?)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scheduler.gamma=0.1",), "scheduler.gamma: only with scheduler=multistep"),
        (("optimizer=adam", "optimizer.momentum=0.9"), "optimizer.momentum: only with optimizer=sgd"),
        (("averaging.every=3",), "averaging.every: only with averaging=ema or lookahead"),
        (("data=mnist", "data.size=32"), "data.size: only with data=image_folder or parquet"),
    ],
)
def test_a_setting_of_another_option_names_that_option(arguments: tuple[str, ...], message: str) -> None:
    assert explanations(*arguments) == [message]


def test_missing_images_are_named_beside_a_misspelt_setting(tmp_path: Path) -> None:
    problems = explanations("data=image_folder", f"data.root={tmp_path / 'none'}", "trainer.epocs=3")
    assert problems[0] == "trainer.epocs: unknown setting (did you mean epochs?)"
    assert problems[1].startswith(f"data.root={tmp_path / 'none'}: must be a folder with a folder of images")


def test_the_case_of_an_option_does_not_matter_to_a_suggestion() -> None:
    assert explanations("data=MNIST")[0].endswith("(did you mean mnist?)")
    assert explanations("averaging=EMA")[0].endswith("(did you mean ema?)")


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (("model.dropout=0,0.1",), ["model.dropout: got 0,0.1, which are"]),
        (("model.dropout=range(0,0.3,0.1)",), ["model.dropout: got range(0,0.3,0.1), which are"]),
        (
            ("head=linear,gap",),
            ["head: unknown setting (did you mean model.head.type?)", "head: got linear,gap, which"],
        ),
    ],
)
def test_several_values_without_m_are_named(arguments: tuple[str, ...], messages: list[str]) -> None:
    problems = explanations(*arguments)
    assert len(problems) == len(messages)
    for problem, message in zip(problems, messages, strict=True):
        assert problem.startswith(message)
    assert problems[-1].endswith("several values; add -m for a sweep, or quote it")


@pytest.mark.parametrize("file", ["/tmp/foo.yaml", "conf/model/session4.yaml"])
def test_a_file_is_no_option(file: str) -> None:
    (problem,) = explanations(f"model={file}")
    example = "session4" if "session4" in file else "all_cnn_c"
    assert problem.startswith(f"model: got {file}, must be a name, as in model={example}; ")
    assert problem.endswith("lie in conf/model/, or in --config-dir")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "model.blocks.stage2.body.covn1.channels=4",
            "model.blocks.stage2.body.covn1: unknown block (did you mean conv1?);"
            ' "+model.blocks.stage2.body.covn1={channels: ...}" adds one',
        ),
        (
            "model.blocks.stage2.body.conv1.chanels=4",
            "model.blocks.stage2.body.conv1.chanels: unknown setting (did you mean channels?)",
        ),
    ],
)
def test_suggestions_reach_any_depth(override: str, message: str) -> None:
    (problem,) = explanations("model=resnet20", override)
    assert problem.startswith(message)


def test_numbers_in_a_list_of_transforms_hide_no_other_error() -> None:
    expected = f"augment: got [1,2], must be one of {TRANSFORMS}"
    assert explanations("augment=[1,2]", "trainer.epocs=3") == [
        expected, "trainer.epocs: unknown setting (did you mean epochs?)",
    ]  # fmt: skip


def test_an_unknown_transform_hides_no_other_error() -> None:
    unknown = [f"augment: got {option!r}, must be one of {TRANSFORMS}" for option in ("flp", "crp")]
    problems = explanations("augment=[crop,flp]", "augment.crop.pading=3", "trainer.epocs=3")
    assert problems == [
        f"{unknown[0]} (did you mean flip?)",
        "augment.crop.pading: unknown setting (did you mean padding?)",
        "trainer.epocs: unknown setting (did you mean epochs?)",
    ]
    assert sorted(explanations("augment=[flp,crp]")) == [
        f"{unknown[1]} (did you mean crop?)", f"{unknown[0]} (did you mean flip?)",
    ]  # fmt: skip


def test_a_setting_of_a_transform_names_the_transform_that_it_needs() -> None:
    expected = "augment.cutout: only with augment=cutout"
    assert explanations("augment=[flip,crop]", "augment.cutout.size=4") == [expected]
    (problem,) = explanations("augment=[flip,crop]", "augment.crop.paddding=4")
    assert problem == "augment.crop.paddding: unknown setting (did you mean padding?)"


def test_a_setting_without_its_transform_is_looked_for_in_all_of_them() -> None:
    assert explanations("augment=flip", "augment.padding=4") == [
        "augment.padding: unknown setting (did you mean augment.crop.padding?)"
    ]


def test_a_setting_of_a_group_that_varies_gets_the_spelling_that_hydra_takes() -> None:
    arguments = ["-m", "augment=flip,[flip,crop]", "augment.flip.p=0.3"]
    with pytest.raises(HydraException) as refused, composed_sweep(arguments):
        pass
    (problem,) = [str(problem) for problem in explain(refused.value, arguments).problems]
    assert problem.startswith("augment.flip.p: got 0.3, which Hydra does not know before augment has one of its")
    assert problem.endswith("write ++augment.flip.p=0.3")
