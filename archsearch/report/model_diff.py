"""Compares two architectures block by block: settings, parameters, MACs, receptive field and output shapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal

from archsearch.data.info import DatasetInfo
from archsearch.errors import ConfigError
from archsearch.model.blocks.base import flat_settings
from archsearch.model.plan import Plan, plan
from archsearch.model.spec import ModelSpec, at_width, parse_model
from archsearch.model.tree import Layer, Shape
from archsearch.report.study import TRIAL, StudyRun
from archsearch.runs.folder import CONFIG, parse_config

HEAD = "head"


@dataclass(frozen=True)
class Side:
    """A block in one of the two architectures: its parameters and MACs, and its output's receptive field and shape."""

    params: int
    macs: int
    receptive_field: int
    output: Shape


@dataclass(frozen=True)
class BlockDiff:
    """A block of A, B or both. `changes` lists settings as (name, value in A, value in B)."""

    name: str
    status: Literal["same", "changed", "only in A", "only in B", "moved"]  # a "moved" block may have changes, too
    changes: Sequence[tuple[str, str, str]]
    a: Side | None
    b: Side | None

    def change(self, name: Literal["params", "macs", "receptive_field"]) -> int:
        """The value in B minus the value in A; a missing block counts as 0."""
        a, b = (getattr(side, name) if side is not None else 0 for side in (self.a, self.b))
        return int(b - a)


@dataclass(frozen=True)
class ModelDiff:
    """All blocks in order, then the head; both plans; and the differing settings outside of the model."""

    blocks: Sequence[BlockDiff]
    a: Plan
    b: Plan
    other: Sequence[tuple[str, str, str]]


def model_diff(a: StudyRun, b: StudyRun, info: DatasetInfo) -> ModelDiff | None:
    """How the networks of two runs on the data set `info` differ; None if a configuration cannot be read."""
    networks = [_network(run, info) for run in (a, b)]
    if networks[0] is None or networks[1] is None:
        return None
    (spec_a, plan_a), (spec_b, plan_b) = networks[0], networks[1]
    settings = [_settings(spec) for spec in (spec_a, spec_b)]
    sides = [_sides(network) for network in (plan_a, plan_b)]
    names = [[name for name, _ in spec.blocks] for spec in (spec_a, spec_b)]
    blocks = []
    for name, moved in _aligned(*names):
        block_a, block_b = settings[0].get(name), settings[1].get(name)
        changes = _changes(block_a, block_b) if block_a is not None and block_b is not None else []
        if block_b is None:
            status: Any = "only in A"
        elif block_a is None:
            status = "only in B"
        else:
            status = "moved" if moved else "changed" if changes else "same"
        blocks.append(BlockDiff(name, status, changes, sides[0].get(name), sides[1].get(name)))
    return ModelDiff(blocks, plan_a, plan_b, _others(a, b))


def _network(run: StudyRun, info: DatasetInfo) -> tuple[ModelSpec, Plan] | None:
    path: Path | None = run.fetch(CONFIG)
    if path is None:
        return None
    try:
        config = parse_config(path.read_text(encoding="utf-8"))
        spec, _ = parse_model(config.get("model") if isinstance(config, Mapping) else None)
        if spec is None:
            return None
        spec = at_width(spec, info.shape[0])
        return spec, plan(spec, info.shape, len(info.classes))
    except (OSError, ValueError, ConfigError):
        return None


def _settings(spec: ModelSpec) -> dict[str, Mapping[str, Any]]:
    return {name: flat_settings(block) for name, block in (*spec.blocks, (HEAD, spec.head))}


def _sides(network: Plan) -> dict[str, Side]:
    sides: dict[str, Side] = {}
    for layer in network.layers:
        sides[layer.block] = _extended(sides.get(layer.block), layer)
    return sides


def _extended(side: Side | None, layer: Layer) -> Side:
    params, macs = (side.params, side.macs) if side is not None else (0, 0)
    return Side(params + layer.params, macs + layer.macs, layer.receptive_field, layer.output)


def _aligned(a: Sequence[str], b: Sequence[str]) -> list[tuple[str, bool]]:
    """The block names of both, merged in order with the head last, and whether a block of A moved in B."""
    names: list[tuple[str, bool]] = []
    for kind, from_a, to_a, from_b, to_b in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            names += [(name, False) for name in a[from_a:to_a]]
        else:
            names += [(name, name in b) for name in a[from_a:to_a]]
            names += [(name, False) for name in b[from_b:to_b] if name not in a]
    return [*names, (HEAD, False)]


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    names = [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]
    is_nested = any("." in name for name in names)  # blocks in the block can be in one of them only
    return [(name, _text(a.get(name, "-")), _text(b.get(name, "-"))) for name in names
            if is_nested or (name in a and name in b)]  # fmt: skip


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (", ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)


def _others(a: StudyRun, b: StudyRun) -> list[tuple[str, str, str]]:
    keys = [key for key in dict.fromkeys([*a.settings, *b.settings]) if not key.startswith("model") and key != TRIAL]
    pairs = [(key, a.settings.get(key, "-"), b.settings.get(key, "-")) for key in keys]
    return [(key, value_a, value_b) for key, value_a, value_b in pairs if value_a != value_b]
