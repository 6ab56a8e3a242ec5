"""Two architectures, block by block: what was changed, and what that does to size, cost and receptive field."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal

import yaml

from archsearch.data.info import DatasetInfo
from archsearch.errors import ConfigError
from archsearch.model.plan import Layer, Plan, Shape, plan
from archsearch.model.spec import ModelSpec, parse_model
from archsearch.report.study import StudyRun
from archsearch.runs.folder import CONFIG

HEAD = "head"


@dataclass(frozen=True)
class Side:
    """A block of one of the two: its parameters, MACs, and what leaves it."""

    params: int
    macs: int
    receptive_field: int
    output: Shape


@dataclass(frozen=True)
class BlockDiff:
    """A block in A, in B, or in both. `changes` are settings as (name, value in A, value in B)."""

    name: str
    status: Literal["same", "changed", "only in A", "only in B", "moved"]  # a moved one can have changes, too
    changes: Sequence[tuple[str, str, str]]
    a: Side | None
    b: Side | None

    def change(self, name: Literal["params", "macs", "receptive_field"]) -> int:
        """How much more of it B has."""
        of_b = getattr(self.b, name) if self.b is not None else 0
        return int(of_b - (getattr(self.a, name) if self.a is not None else 0))


@dataclass(frozen=True)
class ModelDiff:
    """All blocks, in order, then the head; the networks' totals; and settings that are not of the network."""

    blocks: Sequence[BlockDiff]
    a: Plan
    b: Plan
    other: Sequence[tuple[str, str, str]]


def model_diff(a: StudyRun, b: StudyRun, info: DatasetInfo) -> ModelDiff | None:
    """How the networks of two trials on the data set `info` differ; None where a configuration cannot be read."""
    networks = [_network(trial, info) for trial in (a, b)]
    if networks[0] is None or networks[1] is None:
        return None
    (spec_a, plan_a), (spec_b, plan_b) = networks[0], networks[1]
    settings = [_settings(spec) for spec in (spec_a, spec_b)]
    sides = [_sides(network) for network in (plan_a, plan_b)]
    names = [[name for name, _ in spec.blocks] for spec in (spec_a, spec_b)]
    blocks = []
    for name, moved in _aligned(*names):
        of_a, of_b = settings[0].get(name), settings[1].get(name)
        changes = _changes(of_a, of_b) if of_a is not None and of_b is not None else []
        if of_b is None:
            status: Any = "only in A"
        elif of_a is None:
            status = "only in B"
        else:
            status = "moved" if moved else "changed" if changes else "same"
        blocks.append(BlockDiff(name, status, changes, sides[0].get(name), sides[1].get(name)))
    return ModelDiff(blocks, plan_a, plan_b, _others(a, b))


def _network(trial: StudyRun, info: DatasetInfo) -> tuple[ModelSpec, Plan] | None:
    path: Path | None = trial.fetch(CONFIG)
    if path is None:
        return None
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        spec, _ = parse_model(config.get("model") if isinstance(config, Mapping) else None)
        return None if spec is None else (spec, plan(spec, info.shape, len(info.classes)))
    except (OSError, ValueError, yaml.YAMLError, ConfigError):
        return None


def _settings(spec: ModelSpec) -> dict[str, Mapping[str, Any]]:
    return {name: asdict(block) for name, block in (*spec.blocks, (HEAD, spec.head))}


def _sides(network: Plan) -> dict[str, Side]:
    found: dict[str, Side] = {}
    for layer in network.layers:
        before = found.get(layer.block)
        found[layer.block] = _side(layer, before)
    return found


def _side(layer: Layer, before: Side | None) -> Side:
    params, macs = (before.params, before.macs) if before is not None else (0, 0)
    return Side(params + layer.params, macs + layer.macs, layer.receptive_field, layer.output)


def _aligned(a: Sequence[str], b: Sequence[str]) -> list[tuple[str, bool]]:
    """The names of both in an order that keeps to each, the head last, and whether a name is elsewhere in the other."""
    found: list[tuple[str, bool]] = []
    for kind, from_a, to_a, from_b, to_b in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            found += [(name, False) for name in a[from_a:to_a]]
        else:
            found += [(name, name in b) for name in a[from_a:to_a]]
            found += [(name, False) for name in b[from_b:to_b] if name not in a]
    return [*found, (HEAD, False)]


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [(name, _shown(a[name]), _shown(b[name])) for name in a if name in b and a[name] != b[name]]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (", ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)


def _others(a: StudyRun, b: StudyRun) -> list[tuple[str, str, str]]:
    keys = [key for key in dict.fromkeys([*a.settings, *b.settings]) if not key.startswith("model")]
    pairs = [(key, a.settings.get(key, "-"), b.settings.get(key, "-")) for key in keys]
    return [each for each in pairs if each[1] != each[2]]
