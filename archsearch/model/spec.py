"""The model language: the settings of a model, its blocks and its head, validated.

A model is a mapping of named blocks and a head. `parse_model` turns the composed configuration into a `ModelSpec`, in
which every block has all the settings that it inherits from the model. `at_width` scales its channels. Whether the
blocks fit together is checked in `archsearch.model.plan`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT, format_value, names_of, read, read_typed
from archsearch.errors import Problem, did_you_mean
from archsearch.model.blocks.base import Block, Blocks, Branches, Defaults, inherited_settings, scaled_blocks
from archsearch.model.heads import HEADS, Head
from archsearch.model.order import PLACES, block_order
from archsearch.model.plugins import block_types

_STRUCTURE = ("width", "blocks", "head")
_DEEPEST = 20  # blocks in blocks
HOLDER = "x-"  # the beginning of keys that only hold what YAML's anchors refer to
_MEANT = {
    "channels": "; each block has its own",
    "input_shape": "; it is that of the data set, so leave it out",
    "classes": "; their number is that of the data set, so leave it out",
    "layers": " (did you mean blocks?)",
    "default": " (did you mean defaults?)",  # which Hydra reads
}

# Block names become attributes of an nn.Sequential. These are its own attributes, and `head` (a test checks the list).
RESERVED = frozenset(
    """T_destination add_module append apply bfloat16 buffers call_super_init children compile cpu cuda double
    dump_patches eval extend extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half insert
    ipu load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters pop
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
    register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    set_extra_state set_submodule share_memory state_dict to to_empty train training type xpu zero_grad
    head""".split()
)
NESTED_RESERVED = RESERVED - {"head"}


@plain_dataclass(frozen=True)
class ModelSpec:
    """A validated model: its named blocks in order, with all inherited settings filled in, and its head."""

    blocks: Blocks
    head: Head
    width: float = 1.0


def at_width(spec: ModelSpec, channels: int) -> ModelSpec:
    """`spec` with the channels that its blocks have for images of `channels`, at width 1."""
    if spec.width == 1:
        return spec
    blocks, _ = scaled_blocks(spec.blocks, spec.width, channels)
    return replace(spec, blocks=blocks, width=1.0)


def parse_model(values: object, path: str = "model") -> tuple[ModelSpec | None, list[Problem]]:
    """Read a `model` section. Returns the spec and no problems, or None and all problems."""
    if not isinstance(values, Mapping):
        return None, [Problem(path, f"got {format_value(values)}, must be a mapping with blocks and head")]
    misplaced = _misplaced(values, path)
    if misplaced is not None:
        return None, [misplaced]
    settings = (*_STRUCTURE, *names_of(Defaults))
    problems = [
        Problem(f"{path}.{key}", f"unknown setting{_MEANT.get(str(key)) or did_you_mean(str(key), settings)}")
        for key in values
        if key not in settings and not str(key).startswith(HOLDER)
    ]
    inherited = {key: value for key, value in values.items() if key in names_of(Defaults)}
    defaults, default_problems = read(Defaults, inherited, path)
    width, width_problems = read(Width, {"width": values.get("width", 1.0)}, path)
    problems += default_problems + width_problems

    if defaults is None:
        inherited = {}  # so that each block does not report the invalid default again
    reader = _Reader(inherited, problems)
    blocks = reader.read_blocks(values.get("blocks"), f"{path}.blocks", reserved=RESERVED)
    head, head_problems = _read_head(values.get("head"), f"{path}.head")
    if values.get("head") is not None or not any(problem.path == f"{path}.blocks.head" for problem in problems):
        problems += head_problems  # that it is missing goes without saying where it stands in `blocks`
    if problems or width is None or head is None:
        return None, problems
    return ModelSpec(blocks, head, width.width), []


def _misplaced(values: Mapping[Any, object], path: str) -> Problem | None:
    """The problem of a model whose blocks stand in the wrong place."""
    nested = values.get("model")
    if isinstance(nested, Mapping) and "blocks" in nested:
        return Problem(f"{path}.model", "a model's file has `blocks` and `head` at its top, not below `model:`")
    if values.get("blocks") is None:
        known = (*_STRUCTURE, *names_of(Defaults))
        names = [str(key) for key, value in values.items() if isinstance(value, Mapping) and key not in known]
        names = [name for name in names if not name.startswith(HOLDER)]
        if names:
            return Problem(path, f"needs `blocks:`, with {', '.join(names)} below it")
    return None


def _read_head(raw: object, path: str) -> tuple[Head | None, list[Problem]]:
    if raw is None:
        return None, [Problem(path, f"is missing; add head: {{type: gap}}, or one of {', '.join(HEADS)}")]
    return read_typed(HEADS, raw, path, "linear")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Width:
    """The setting of the model that no block has."""

    width: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """factor of every block's channels"""


@plain_dataclass
class _Reader:
    """Reads blocks, and blocks in blocks. Appends to `problems`."""

    inherited: Mapping[Any, object]
    problems: list[Problem]
    depth: int = 0

    def read_blocks(self, raw: object, path: str, reserved: frozenset[str], *, may_be_empty: bool = False) -> Blocks:
        """The blocks at `path`; those with problems are left out."""
        if not isinstance(raw, Mapping) or not (raw or may_be_empty):
            rule = "must be a mapping of one or more named blocks, as in {conv1: {channels: 8}}"
            self.problems.append(Problem(path, f"got {format_value(raw)}, {rule}"))
            return ()
        if self.depth == _DEEPEST:
            self.problems.append(Problem(path, f"blocks can be nested {_DEEPEST} times at most"))
            return ()
        self.depth += 1
        blocks: list[tuple[str, Block]] = []
        names, misplaced = block_order(raw, path, has_head=reserved is RESERVED)
        self.problems += misplaced
        present = names if names or may_be_empty else list(raw)  # without null, which takes a block out
        for name in present:
            problems = _check_name(name, f"{path}.{name}", reserved)
            self.problems += problems
            if problems:
                continue
            block = self.read_block(raw[name], f"{path}.{name}", raw)
            if block is not None:
                blocks.append((str(name), block))
        for name in raw.keys() - set(present):  # what is taken out has a block's name, too
            self.problems += _check_name(name, f"{path}.{name}", reserved)
        self.depth -= 1
        return tuple(blocks)

    def read_block(self, raw: object, path: str, names: Iterable[object]) -> Block | None:
        """The block at `path`, which stands among `names`."""
        types = block_types()
        kind = raw.get("type", "conv") if isinstance(raw, Mapping) else None
        cls = types.get(kind) if isinstance(kind, str) else None
        if isinstance(raw, int) and not isinstance(raw, bool):
            rule = f"must be a mapping of settings; write {{channels: {raw}}}, or use {path}.channels={raw}"
            self.problems.append(Problem(path, f"got {raw}, {rule}"))
            return None
        if cls is None or not isinstance(raw, Mapping):
            _, problems = read_typed(types, raw, path, "conv")
            self.problems += problems
            return None
        values = {key: value for key, value in raw.items() if key not in cls.nested and key not in PLACES}
        inherits = inherited_settings(cls)
        values = {**{key: value for key, value in self.inherited.items() if key in inherits}, **values}
        if kind == "conv" and "channels" not in raw:
            rule = f"needs `channels`, or `type: pool` for a block that only pools{_similar_block(path, names)}"
            self.problems.append(Problem(path, rule))
            values["channels"] = 1
        before = len(self.problems)
        parts = {
            key: self._read_nested(form, raw.get(key), f"{path}.{key}") for key, form in cls.nested.items()
        }  # fmt: skip
        block, problems = read(cls, values, path, PLACES)
        self.problems += problems
        if block is None or len(self.problems) > before:
            return None
        return replace(block, **parts) if parts else block

    def _read_nested(self, form: str, raw: object, path: str) -> Blocks | Branches:
        if form == "blocks":
            return self.read_blocks(raw, path, NESTED_RESERVED)
        if not isinstance(raw, Mapping) or len(raw) < 2:
            self.problems.append(Problem(path, f"got {format_value(raw)}, must be a mapping of two or more branches"))
            return ()
        branches = []
        for name, blocks in raw.items():
            self.problems += _check_name(name, f"{path}.{name}", NESTED_RESERVED)
            read = self.read_blocks(blocks, f"{path}.{name}", NESTED_RESERVED, may_be_empty=True)
            branches.append((str(name), read))
        return tuple(branches)


def _check_name(name: object, path: str, reserved: frozenset[str]) -> list[Problem]:
    if isinstance(name, bool) or name in ("True", "False"):
        rule = "YAML reads on, off, yes and no as true and false; give the block another name"
        return [Problem(path, rule)]
    if name == "head" and name in reserved:
        return [Problem(path, "`head` stands beside `blocks`, not in it")]
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", str(name)):
        return [Problem(path, "a block's name must consist of letters, digits and _, and begin with a letter")]
    if name in reserved:
        return [Problem(path, f"`{name}` is reserved; give the block another name")]
    return []


def _similar_block(path: str, names: Iterable[object]) -> str:
    """A hint for a block without channels, which can be a misspelt name in an override."""
    name = path.rpartition(".")[2]
    return did_you_mean(name, [str(other) for other in names if other != name])
