"""The settings of all groups but `model`, as composed from `conf/`."""

from typing import Any

import pytest

from archsearch.config.augment import Affine, Augment, Flip, in_present_form
from archsearch.config.recipe import SGD
from archsearch.config.schema import format_value
from archsearch.config.settings import Settings, parse_settings
from tests.support.requests import ask


def settings_of(*overrides: str) -> Settings:
    settings, problems = parse_settings(ask(*overrides).config)
    assert settings is not None, problems
    return settings


def problems_of(*overrides: str, **sections: Any) -> list[str]:
    settings, problems = parse_settings({**ask(*overrides).config, **sections})
    assert settings is None
    return [str(problem) for problem in problems]


def test_the_default_configuration_is_valid() -> None:
    assert isinstance(settings_of().optimizer, SGD)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("scheduler", ["constant", "multistep", "cosine", "one_cycle"])
def test_every_optimizer_can_be_combined_with_every_scheduler(optimizer: str, scheduler: str) -> None:
    settings = settings_of(f"optimizer={optimizer}", f"scheduler={scheduler}")
    assert (settings.optimizer.type, settings.scheduler.type) == (optimizer, scheduler)


def test_the_other_groups_have_valid_options() -> None:
    settings = settings_of("augment=affine", "averaging=ema", "tracking=none", "data=digits")
    assert settings.augment == Augment(affine=Affine(degrees=10.0, translate=0.1, scale=0.1))
    assert settings.averaging.type == "ema"
    assert (settings.tracking.enabled, settings.data.name) == (False, "digits")


def test_the_reference_experiment_has_the_recipe_of_the_reference() -> None:
    config = ask("experiment=eva6_session4").config
    assert parse_settings(config)[0] is not None
    optimizer = {"type": "sgd", "lr": 0.01, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0}
    assert config["optimizer"] == {**optimizer, "norm_lr_factor": 1.0, "bias_lr_factor": 1.0}
    assert config["init"] == {"first_conv": "torch", "convs": "torch"} and config["averaging"] == {"type": "none"}
    assert config["scheduler"] == {"type": "multistep", "milestones": [9], "gamma": 0.1}
    assert (config["trainer"]["epochs"], config["trainer"]["batch_size"], config["seed"]) == (19, 128, 1)
    assert (config["data"]["name"], config["data"]["validation"]) == ("mnist", 0)
    assert config["model"]["dropout"] == 0.1 and config["trainer"]["label_smoothing"] == 0
    assert config["trainer"]["test_every_epoch"] and config["augment"] == {}


def test_all_errors_of_the_settings_are_reported_at_once() -> None:
    assert sorted(
        problems_of(
            "seed=-1",
            "trainer.epochs=many",
            "trainer.device=gpu",
            "optimizer.type=sdg",
            "data.name=mnst",
            "+foo=1",
            "+trainer.epoch=3",
        )
    ) == [
        "data.name: got 'mnst', must be one of auto, mnist, fashion_mnist, kmnist, emnist_balanced, emnist_letters,"
        " cifar10, cifar100, svhn, digits, image_folder, arrays, parquet (did you mean mnist?)",
        "foo: unknown setting",
        "optimizer.type: got 'sdg', must be one of sgd, adam, adamw (did you mean sgd?)",
        "seed: got -1, must be at least 0",
        "trainer.device: got 'gpu', must be auto, cpu, mps, cuda or cuda:<number>",
        "trainer.epoch: unknown setting (did you mean epochs?)",
        "trainer.epochs: got 'many', must be a whole number",
    ]


def test_numbers_to_choose_from_are_listed() -> None:
    images = ("data=image_folder", "data.root=x", "data.channels=2")
    assert problems_of(*images) == ["data.channels: got 2, must be one of 1, 3"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.momentum=0", "optimizer: `nesterov` (=true) needs `momentum` above 0"),
        ("optimizer.lr=0", "optimizer.lr: got 0, must be more than 0"),
        ("optimizer.lr=.inf", "optimizer.lr: got '.inf', must be a number"),
        ("data.root=''", "data.root: got '', must be the folder of the data sets"),
        ("ui.port=70000", "ui.port: got 70000, must be at most 65535"),
        ("tracking.uri=3", "tracking.uri: got 3, must be a string"),
    ],
)
def test_invalid_values_are_rejected(override: str, message: str) -> None:
    assert any(problem.startswith(message) for problem in problems_of(override)), problems_of(override)


def test_a_cycle_of_momentum_needs_a_momentum() -> None:
    (problem,) = problems_of("optimizer.momentum=0", "optimizer.nesterov=false")
    assert problem.startswith("scheduler.cycle_momentum: got true, but optimizer.momentum is 0")
    settings_of("optimizer.momentum=0", "optimizer.nesterov=false", "scheduler.cycle_momentum=false")


@pytest.mark.parametrize("section", ["data", "trainer", "optimizer"])
@pytest.mark.parametrize("value", [None, 3, "x"])
def test_sections_must_be_mappings(section: str, value: object) -> None:
    problem = f"{section}: got {format_value(value)}, must be a mapping of settings"
    assert problem in problems_of(**{section: value})


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("trainer.threads=2147483648", "trainer.threads: got 2147483648, must be at most 1024"),
        ("data.split_seed=4294967296", "data.split_seed: got 4294967296, must be at most 2147483647"),
        ("optimizer.lr=1e308", "optimizer.lr: got 1e+308, must be at most 1e+30"),
        ("optimizer.weight_decay=1e308", "optimizer.weight_decay: got 1e+308, must be at most 1e+30"),
        ("scheduler.div_factor=1e-308", "scheduler.div_factor: got 1e-308, must be at least 1e-06"),
        ("sweep.workers=100000", "sweep.workers: got 100000, must be at most 1024"),
        ("sweep.jobs_per_gpu=99999999999", "sweep.jobs_per_gpu: got 99999999999, must be at most 1024"),
    ],
)
def test_values_beyond_sense_are_refused(override: str, problem: str) -> None:
    assert any(line.startswith(problem) for line in problems_of(override))


def test_augmentation_from_before_transforms_could_be_combined_is_still_read() -> None:
    config = ask("data=digits").config
    old: dict[str, Any] = {"type": "affine", "degrees": 5.0, "translate": 0.1, "scale": 0.0}
    for section, expected in (
        ({"type": "none"}, Augment()),
        (old, Augment(affine=Affine(degrees=5.0, translate=0.1, scale=0.0))),
        ({**old, "flip": {}}, Augment(affine=Affine(degrees=5.0, translate=0.1, scale=0.0), flip=Flip())),
    ):
        settings, problems = parse_settings(in_present_form({**config, "augment": section}))
        assert settings is not None and settings.augment == expected, problems
    both = in_present_form({"augment": {**old, "affine": {"degrees": 200}}})["augment"]
    assert problems_of(augment=both) == ["augment.affine.degrees: got 200, must be at most 180.0"]
    assert problems_of(augment={"type": "cutout"}) == ["augment.type: unknown setting"]
