"""The fixed groups, and everything that Hydra refuses, in our words."""

from pathlib import Path
from typing import Any

import pytest

from archsearch.compose.explain import explain
from archsearch.compose.overrides import complete_arguments, resume_of
from archsearch.compose.validate import validate
from archsearch.errors import ConfigError
from archsearch.runs.resume import run_arguments
from tests.support.requests import ask

# A network whose second block sees a 1x1 image.
SHRUNK = (
    "++model.blocks.conv1.kernel_size=28",
    *(f"++model.blocks.{name}.kernel_size=1" for name in ("conv2", "conv3", "conv4", "conv5")),
    *(f"++model.blocks.{name}.pool=none" for name in ("trans1", "trans2")),
)


def problems_of(*overrides: str, **sections: Any) -> list[str]:
    config = ask(*overrides).config
    for section, change in sections.items():
        config[section] = {**config[section], **change} if isinstance(change, dict) else change
    with pytest.raises(ConfigError) as caught:
        validate(config).require()
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("scheduler", ["constant", "multistep", "cosine", "one_cycle"])
@pytest.mark.parametrize("others", [(), ("augment=affine", "tracking=none", "data=digits")])
def test_every_combination_of_groups_is_valid(optimizer: str, scheduler: str, others: tuple[str, ...]) -> None:
    validate(ask(f"optimizer={optimizer}", f"scheduler={scheduler}", *others).config).require()


def test_the_reference_recipe_is_the_reference_recipe() -> None:
    config = ask("experiment=eva6_session4").config
    validate(config).require()
    optimizer = {"type": "sgd", "lr": 0.01, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0}
    assert config["optimizer"] == {**optimizer, "norm_lr_factor": 1.0, "bias_lr_factor": 1.0}
    assert config["init"] == {"first_conv": "torch", "convs": "torch"} and config["averaging"] == {"type": "none"}
    assert config["scheduler"] == {"type": "multistep", "milestones": [9], "gamma": 0.1}
    assert (config["trainer"]["epochs"], config["trainer"]["batch_size"], config["seed"]) == (19, 128, 1)
    assert (config["data"]["name"], config["data"]["validation"]) == ("mnist", 0)
    assert config["model"]["dropout"] == 0.1 and config["trainer"]["label_smoothing"] == 0
    assert config["trainer"]["test_every_epoch"] and config["augment"] == {"type": "none"}


def test_every_mistake_of_a_configuration_is_reported_at_once() -> None:
    assert problems_of(
        "seed=-1",
        "trainer.epochs=many",
        "trainer.device=gpu",
        "optimizer.type=sdg",
        "data.name=mnst",
        "+foo=1",
        "+trainer.epoch=3",
        "++model.blocks.conv2.kernel_size=40",
    ) == [
        "model.blocks.conv2: kernel_size 40 does not fit its 26x26 input",
        "data.name: got 'mnst', must be one of auto, mnist, fashion_mnist, kmnist, digits (did you mean mnist?)",
        "optimizer.type: got 'sdg', must be one of sgd, adam, adamw (did you mean sgd?)",
        "trainer.epochs: got 'many', must be a whole number",
        "trainer.device: got 'gpu', must be auto, cpu, mps, cuda or cuda:<number>",
        "trainer.epoch: unknown setting (did you mean epochs?)",
        "seed: got -1, must be at least 0",
        "foo: unknown setting",
    ]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("trainer.batch_size=1", *SHRUNK), "trainer.batch_size: got 1, with which batch norm cannot train"),
        (("optimizer.momentum=0",), "optimizer: `nesterov` (=true) needs `momentum` above 0"),
        (("optimizer.momentum=0", "optimizer.nesterov=false"), "scheduler.cycle_momentum: got true, but"),
        (("trainer.epochs=1", "trainer.batch_size=60000"), "scheduler.pct_start: got 0.3, which is less than one of"),
        (("optimizer.lr=0",), "optimizer.lr: got 0, must be more than 0"),
        (("optimizer.lr=.inf",), "optimizer.lr: got '.inf', must be a number"),
        (("data.validation=60000",), "data.validation: got 60000, must be 0, or between 10 and 59,990"),
        (("data=digits", "data.validation=1499"), "data.validation: got 1499, must be 0, or between 10 and 1,490"),
        (
            ("constraints.max_params=10000",),
            "constraints.max_params: the model has 12,954 parameters, 10,000 are allowed",
        ),
        (("constraints.max_macs=1000000",), "constraints.max_macs: the model has 2,605,712 MACs"),
        (("constraints.min_receptive_field=28",), "constraints.min_receptive_field: the model's receptive field is 26"),
        (("data.root=''",), "data.root: got '', "),
        (
            ("trainer.compile=true", "trainer.cuda_graphs=true"),
            "trainer.cuda_graphs: got true beside trainer.compile=true",
        ),
        (("ui.port=70000",), "ui.port: got 70000, must be at most 65535"),
        (("tracking.uri=3",), "tracking.uri: got 3, must be a word"),
    ],
)
def test_settings_that_cannot_work(overrides: tuple[str, ...], message: str) -> None:
    assert any(problem.startswith(message) for problem in problems_of(*overrides)), problems_of(*overrides)


def test_constraints_that_are_kept_to() -> None:
    validate(
        ask("constraints.max_params=12954", "constraints.max_macs=2605712", "constraints.min_receptive_field=26").config
    ).require()


@pytest.mark.parametrize("section", ["data", "trainer", "optimizer", "model"])
@pytest.mark.parametrize("value", [None, 3, "x"])
def test_sections_that_are_no_mapping(section: str, value: object) -> None:
    assert any(problem.startswith(f"{section}: must be a mapping") for problem in problems_of(**{section: value}))


def explained(*arguments: str) -> list[str]:
    """What a person reads when Hydra refuses the command line."""
    try:
        ask(*complete_arguments(arguments))
    except Exception as error:
        return [str(problem) for problem in explain(error, arguments).problems]
    raise AssertionError("Hydra accepted it")


def test_everything_that_hydra_refuses_is_explained_at_once() -> None:
    assert explained(
        "model=sesion4",
        "trainer.epocs=3",
        "trainr.epochs=3",
        "modle=session4",
        "model.blocks.covn3.channels=4",
        "model.head.hiden=[3]",
        "model.blocks.conv3.padding=sme",
        "~model.blocks.trans9",
        "seed=x",
    ) == [
        "model: got 'sesion4', must be one of session4, session4_conv_head, session4_end_dropout, session4_gap,"
        " session5_step1 (did you mean session4?)",
        "trainer.epocs: unknown setting (did you mean epochs?)",
        "trainr: unknown setting (did you mean trainer?)",
        "modle: unknown setting (did you mean model?)",
        "model.blocks.covn3: unknown block (did you mean conv3?); +model.blocks.covn3={channels: ...} adds one",
        "model.head.hiden: unknown setting (did you mean hidden?)",
        "model.blocks.trans9: unknown block (did you mean trans2?); +model.blocks.trans9={channels: ...} adds one",
        "model.blocks.conv3.padding: got 'sme', must be a whole number or one of same (did you mean same?)",
        "seed: got 'x', must be a whole number",
    ]


def test_what_hydra_refuses_for_other_reasons_keeps_its_words() -> None:
    (problem,) = explained("model.blocks={conv1:{kernel_size:28}}")
    assert problem.startswith("model.blocks: ") and "kernel_size" in problem
    (problem,) = explained("trainer=null")
    assert problem.startswith("trainer: Config group override must be a string or a list")


def test_broken_grammar_keeps_hydras_words() -> None:
    (problem,) = explained("seed=[1")
    assert problem.startswith("command line: ")


def test_settings_that_a_model_does_not_mention_need_no_plus() -> None:
    words = ("model.blocks.conv3.kernel_size=5", "model.head.hidden=[32]", "model.norm=group", "model.norm_groups=2")
    model = ask(*complete_arguments(words)).config["model"]
    assert model["blocks"]["conv3"] == {"channels": 24, "kernel_size": 5}
    assert model["head"] == {"type": "linear", "hidden": [32]}
    assert (model["norm"], model["norm_groups"]) == ("group", 2)


def test_a_misspelt_block_is_not_a_new_block() -> None:
    config = ask(*complete_arguments(["model.blocks.covn3.kernel_size=5"])).config
    with pytest.raises(ConfigError, match=r"model.blocks.covn3: needs `channels`.* \(did you mean conv3\?\)"):
        validate(config).require()


@pytest.mark.parametrize("word", ["resume=12345678", "+resume=12345678", "resume='12345678'"])
def test_resume_takes_what_looks_like_a_number(word: str, workspace: Path) -> None:
    folder = workspace / "outputs" / "runs" / "a, b=c"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text('{"run_id": "1234567890", "started": "2026"}')
    said = resume_of(word)
    assert said is not None
    ready = run_arguments(said, [])
    assert ready == ["resume='12345678'", "hydra.run.dir='outputs/runs/a, b=c'", "hydra.output_subdir=null"]
    assert ask(*ready).config["resume"] == "12345678"


def test_flags_may_stand_between_overrides() -> None:
    ready = complete_arguments(
        ["model=session4", "-m", "seed=1,2", "--config-dir", "a=b", "~model.blocks.c", "--cfg", "job"]
    )
    assert ready == ["-m", "--config-dir", "a=b", "--cfg", "job", "model=session4", "seed=1,2", "~model.blocks.c"]


def test_blocks_come_and_go_by_override() -> None:
    words = ("~model.blocks.trans2", "+model.blocks.last={channels: 8, kernel_size: 1}", "model.head.type=gap")
    network = validate(ask(*complete_arguments(words)).config).require()[1]
    blocks = list(dict.fromkeys(layer.block for layer in network.layers))
    assert blocks == ["conv1", "conv2", "conv3", "trans1", "conv4", "conv5", "last", "head"]
