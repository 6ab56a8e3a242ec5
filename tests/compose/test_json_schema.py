"""The JSON Schemas of the configuration and its groups: what is in conf/ is valid, and mistakes are found in place."""

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from omegaconf import OmegaConf

from archsearch.compose.json_schema import configuration_schema, group_schema, schema_names
from archsearch.config.schema import allowed_values, groups_of, names_of
from archsearch.config.settings import Settings, SweepRunSettings, parse_settings
from archsearch.errors import ConfigError
from tests.support.json_schema import refusals
from tests.support.processes import REPOSITORY
from tests.support.requests import ask

CONF = REPOSITORY / "conf"
FILES = sorted(path for path in CONF.rglob("*.yaml") if "hydra" not in path.parts)  # whose settings are Hydra's
ROOT = configuration_schema()
SCHEMAS = {name: group_schema(name) for name in schema_names()}
GROUPS = groups_of(Settings)
DEFAULT = ask().config


def read(path: Path) -> Any:
    return OmegaConf.to_container(OmegaConf.load(path))


def yaml(text: str) -> Any:
    return OmegaConf.to_container(OmegaConf.create(text))


@pytest.mark.parametrize("group", schema_names())
def test_they_are_valid_schemas_in_which_every_reference_leads_somewhere(group: str) -> None:
    schema = SCHEMAS[group]
    Draft202012Validator.check_schema(schema)
    pending: list[Any] = [schema]
    references = set()
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            references |= {node["$ref"]} if "$ref" in node else set()
            pending += node.values()
        elif isinstance(node, list):
            pending += node
    assert references <= {f"#/$defs/{name}" for name in schema["$defs"]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_in_conf_is_valid(path: Path) -> None:
    schema = ROOT if path.parent == CONF else SCHEMAS[path.parent.name]
    assert refusals(schema, read(path)) == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_every_composed_preset_is_valid(path: Path) -> None:
    group = path.parent.name
    config = DEFAULT if path.parent == CONF else ask(f"{group}={path.stem}").config
    assert refusals(ROOT, config) == {}
    for name in ("model", *GROUPS):
        assert refusals(SCHEMAS[name], config[name]) == {}


@pytest.mark.parametrize("group", GROUPS)
def test_every_settings_class_is_in_it(group: str) -> None:
    definitions = ROOT["$defs"]
    for cls in GROUPS[group]:
        kinds = allowed_values(cls, "type") if len(GROUPS[group]) > 1 else [None]
        for kind in kinds:
            properties = definitions[group if kind is None else f"{group}.{kind}"]["properties"]
            assert set(properties) == set(names_of(cls))
            assert all("description" in schema for name, schema in properties.items() if name != "type")


def test_settings_outside_of_groups_are_in_it() -> None:
    assert set(ROOT["properties"]) == {"defaults", "hydra", "model", *names_of(Settings)}
    assert refusals(ROOT, {"sweep_run": {"sweep": "a", "number": 0, "name": "b"}}) == {}
    assert set(ROOT["$defs"]["settings.SweepRunSettings"]["properties"]) == set(names_of(SweepRunSettings))
    assert list(refusals(ROOT, {"seed": -1, "resume": 3})) == ["seed", "resume"]


BLOCK = "head: {type: gap}\nblocks:\n  a: {channels: 3}\n"


@pytest.mark.parametrize(
    ("group", "text", "path", "message"),
    [
        ("model", BLOCK + "widht: 2", "", "'widht' does not match"),
        ("model", BLOCK + "dropout: 1", "dropout", "1 is greater than or equal to the maximum of 1"),
        ("model", BLOCK + "order: [conv, norm, norm, dropout]", "order", "non-unique"),
        ("model", BLOCK + "  b: {chanels: 3}", "blocks.b", "'chanels' was unexpected"),
        ("model", BLOCK + "  b: {kernel_size: 3}", "blocks.b", "'channels' is a required property"),
        ("model", BLOCK + "  b: {channels: 0}", "blocks.b.channels", "0 is less than the minimum of 1"),
        ("model", BLOCK + "  b: {channels: many}", "blocks.b.channels", "'many' does not match"),
        ("model", BLOCK + "  b: {channels: true}", "blocks.b.channels", "True is not of type 'integer'"),
        ("model", BLOCK + "  b: 3", "blocks.b", "3 is not of type 'object'"),
        ("model", BLOCK + "  b: {type: cnov, channels: 3}", "blocks.b.type", "'cnov'"),
        ("model", BLOCK + "  b: {type: pool, channels: 3}", "blocks.b", "'channels' was unexpected"),
        ("model", BLOCK + "  b: {type: residual}", "blocks.b", "'body' is a required property"),
        ("model", BLOCK + "  b: {type: group, blocks: {}}", "blocks.b.blocks", "non-empty"),
        ("model", BLOCK + "  b: {type: parallel, branches: {x: {}}}", "blocks.b.branches", "enough properties"),
        (
            "model",
            BLOCK + "  b: {type: residual, body: {c: {type: parallel, branches: {x: {}, y: {d: {channels: 0.5}}}}}}",
            "blocks.b.body.c.branches.y.d.channels",
            "0.5 is not of type 'integer'",
        ),
        ("model", BLOCK + "  head: {channels: 3}", "blocks", "'head' does not match"),
        ("model", BLOCK + "  train: {channels: 3}", "blocks", "'train' does not match"),
        ("model", BLOCK + "  on: {channels: 3}", "blocks", "'true' does not match"),
        ("model", BLOCK + '  "on": {channels: 3}', "blocks", "'on' does not match"),  # which editors read so, unquoted
        ("model", BLOCK + "  1a: {channels: 3}", "blocks", "'1a' does not match"),
        ("model", "blocks: {a: {channels: 3}}\nhead: gap", "head", "'gap' does not match"),
        ("model", "blocks: {a: {channels: 3}}\nhead: {type: gab}", "head.type", "'gab'"),
        ("model", "blocks: {a: {channels: 3}}\nhead: {type: gap, hidden: [3]}", "head", "'hidden' was unexpected"),
        ("model", "blocks: {a: {channels: 3}}\nhead: {hidden: [0]}", "head.hidden[0]", "0 is less than"),
        ("model", "blocks: {a: {channels: 3}}", "", "'head' is a required property"),
        ("model", "a: {channels: 3}\nhead: {type: gap}", "", "'a' does not match"),
        ("model", "defaults: [session4]\nblocks: {conv1: {chanels: 3}}", "blocks.conv1", "'chanels' was unexpected"),
        ("model", "defaults: [session4]\nblocks: {conv1: {channels: 0}}", "blocks.conv1.channels", "0 is less than"),
        ("model", "defaults: session4\nhead: {type: gap}", "defaults", "'session4' is not of type 'array'"),
        ("optimizer", "{type: sgd, lr: 0.1, betas: [0.9, 0.99]}", "", "'betas' was unexpected"),
        ("optimizer", "{type: adam, lr: 0.1, betas: [0.9]}", "betas", "too short"),
        ("optimizer", "{type: adan, lr: 0.1}", "type", "'adan'"),
        ("optimizer", "{lr: 0.1}", "", "'type' is a required property"),
        ("optimizer", "{type: sgd}", "", "'lr' is a required property"),
        ("optimizer", "{type: sgd, lr: '0.1'}", "lr", "'0.1' does not match"),
        ("scheduler", "{type: cosine, gamma: 0.1}", "", "'gamma' was unexpected"),
        ("augment", "{crop: {padding: off}}", "crop.padding", "False"),
        ("trainer", "{epochs: 1, batch_size: 8, device: gpu}", "device", "'gpu'"),
        ("data", "{name: minst, root: data}", "name", "'minst'"),
        ("experiment", "trainer: {epocs: 3}", "trainer", "'epocs' was unexpected"),
        ("experiment", "model: {blocks: {a: {pool: min}}}", "model.blocks.a.pool", "'min'"),
        ("experiment", "optimizer: {nesterov: 1}", "optimizer.nesterov", "1 is not of type 'boolean'"),
        ("experiment", "optimizer: {type: sgd, eps: 1.0}", "optimizer", "'eps' was unexpected"),
        ("experiment", "model: {defaults: [session4]}", "model", "'defaults' does not match"),
        ("experiment", "traner: {epochs: 3}", "", "'traner' was unexpected"),
        ("experiment", "defaults: [{a: b, c: d}]", "defaults[0]", "is not valid"),
    ],
)
def test_a_mistake_is_found_where_it_stands(group: str, text: str, path: str, message: str) -> None:
    refused = refusals(SCHEMAS[group], yaml(text))
    assert list(refused) == [path]
    assert message in refused[path]


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ("model", "defaults: [resnet20, _self_]\nblocks: {stage1: {shortcut: conv}, conv1: null}"),
        ("model", "x-block: {body: 3}\n" + BLOCK + "  b: {channels: '${.a.channels}'}\n  c: ${.a}\n  d: ???"),
        ("model", "blocks: ${other.blocks}\nhead: ${other.head}"),
        ("model", "blocks: {a: {type: '${kind}', size: 3}}\nhead: {type: gap}"),
        ("model", BLOCK + "  b: {type: parallel, branches: {head: {}, x: {head: {channels: 3}}}}"),
        ("optimizer", "defaults: [sgd, _self_]\nmomentum: 0.5"),
        ("scheduler", "{type: multistep, milestones: ['${trainer.epochs}', 3]}"),
        ("trainer", "epochs: ???\nbatch_size: ${oc.env:BATCH,8}\nprecision: ${precision}"),
        ("experiment", "defaults: [_self_, {override /model: session4}, {/x@y: [a, b]}, {optional z: null}]"),
        ("experiment", "model: {dropout: 0, head: {dropout: 0.5}, blocks: {a: {stride: 2}, b: null}}"),
        ("experiment", "scheduler: {gamma: 0.5}\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: '1,2'}}}"),
        ("experiment", ""),
    ],
)
def test_parts_and_interpolations_are_valid(group: str, text: str) -> None:
    assert refusals(SCHEMAS[group], yaml(text) if text else None) == {}


VALUES: tuple[object, ...] = (
    *(-1, 0, 1, 2, 3, 0.5, 300, 70_000, 1e40, True, False, None, "x", "auto", "none", "sgd", "mnist", "cpu", "cuda:1"),
    *([], [1, 2], [0, 0.5], ["a"], [["a", "b"]], {}, {"x": 1}, {"type": "none"}, {"type": "cosine"}),
)
OPTIONS = [(), ("optimizer=adam",), ("scheduler=multistep", "averaging=ema"), ("augment=affine", "averaging=lookahead")]
CONFIGS = [ask(*options).config for options in OPTIONS]


OF_TWO_SETTINGS = ("` (=", "momentum", "must be left out: data.", "must be null: data=", "must be the f")


@settings(max_examples=100)
@given(data=st.data())
def test_with_one_value_changed_they_agree_with_archsearchs_own_validation(data: st.DataObject) -> None:
    config = deepcopy(data.draw(st.sampled_from(CONFIGS)))
    group = data.draw(st.sampled_from([*GROUPS, ""]))
    place = config[group] if group else config
    names = {*place} - {"model"} | {name for cls in GROUPS.get(group, [Settings]) for name in names_of(cls)}
    place[data.draw(st.sampled_from([*sorted(names), "epocs"]))] = deepcopy(data.draw(st.sampled_from(VALUES)))
    _, problems = parse_settings(config)
    whole = {name: refusals(SCHEMAS[name], config.get(name)) for name in GROUPS}
    refused = any(whole.values()) or refusals(ROOT, config) != {}
    # Rules that concern two settings are beyond a schema.
    checked = [problem for problem in problems if not any(part in problem.message for part in OF_TWO_SETTINGS)]
    if problems == [] or checked:
        assert refused == (problems != []), (problems, whole)


def test_an_unknown_group_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"schema: got 'modell', must be one of model, .* \(did you mean model\?\)"):
        group_schema("modell")


def test_the_examples_for_editors_are_valid() -> None:
    page = (REPOSITORY / "docs" / "editors.md").read_text()
    (model,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert refusals(SCHEMAS["model"], yaml(model)) == {}
    (setting,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (loop,) = re.findall(r"for group in (.*?); do", page)
    printed = {f"./schemas/{name}.json" for name in ["archsearch", *loop.split()]}
    assert set(json.loads(setting)["yaml.schemas"]) <= printed
    folders = {path.parent.name for path in FILES if path.parent != CONF}
    assert {*loop.split(), "experiment"} == folders <= set(schema_names())
