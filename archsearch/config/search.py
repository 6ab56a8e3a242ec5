"""The settings of a search, typed: `search`, and the file of a space, `conf/space/*.yaml`. No Optuna."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT, NonNegativeInt, PositiveFloat, PositiveInt, Size
from archsearch.errors import Problem

SamplerName = Literal["random", "grid", "evolution", "local_search", "tpe", "nsga2", "gp"]
Objective = Literal["val/accuracy", "val/loss", "params", "macs", "epoch_seconds"]
BlockType = Literal["conv", "separable", "inverted_residual", "residual", "pool", "squeeze_excite"]
SearchedActivation = Literal["relu", "leaky_relu", "gelu", "silu", "elu", "tanh", "relu6", "hardswish", "mish", "none"]
SearchedHead = Literal["linear", "gap", "conv"]

FOR_BLOCKS: tuple[SamplerName, ...] = ("evolution", "local_search", "random")
"""the samplers that can propose whole architectures"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Budget:
    """What a search may spend; null is no limit. A search that is resumed goes on to the same totals."""

    trials: PositiveInt | None = 60
    """trials that are trained, at least for some epochs"""
    epochs: PositiveInt | None = None
    """epochs of all trials together"""
    seconds: PositiveFloat | None = None
    """seconds of training, without the finalists"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SearchSettings:
    """How a search proposes networks."""

    space: Literal["settings", "blocks"] = "settings"
    """what varies: the settings that the command line or `space` give values for, or the blocks themselves, too"""
    start: Literal["model", "nothing"] = "model"
    """where architectures begin: at the composed model, or at one convolution"""
    sampler: SamplerName | None = None
    """who proposes; null is evolution for blocks, tpe for settings"""
    objectives: Annotated[tuple[Objective, ...], Field(strict=False, min_length=1)] = ("val/accuracy",)
    """what is optimised: one, or several, which make a Pareto front"""
    duplicates: Literal["redraw", "reseed"] = "redraw"
    """for a network that was proposed before: propose another one, or train it again with another seed"""
    seed: NonNegativeInt = 1
    """seed of the proposals"""
    engine: Literal["archsearch", "ray"] = "archsearch"
    """what trains the trials: worker processes of this machine, or tasks of a Ray cluster"""
    join: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """name of a study in `storage` on which several processes work, each in a folder of its own"""
    storage: str | None = None
    """PostgreSQL database of that study: postgresql://user@host/database"""
    lease: PositiveFloat = 120.0
    """seconds after which the others give up a process, and its trials, that they do not hear of"""
    budget: Budget = Budget()
    """what the search may spend; it ends when one of these is used up"""
    stopping: Literal["halving", "median", "none"] = "halving"
    """which trials stop early: all but the best of a rung, those below the median, or none"""
    min_epochs: PositiveInt = 1
    """epochs before a trial can stop"""
    reduction: Annotated[int, Field(ge=2)] = 3
    """one trial in so many trains on from a rung, to the next one, which has so many times the epochs"""
    finalists: NonNegativeInt = 5
    """the most trials of the front that are trained again, with fresh seeds; only they read the test set"""
    finalist_seeds: PositiveInt = 5
    """fresh seeds for each finalist"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BlockLimits:
    """Which architectures a search with `search.space=blocks` may build."""

    most_blocks: PositiveInt = 20
    """largest number of blocks, with those in other blocks"""
    channels: Annotated[tuple[Size, Size], Field(strict=False)] = (4, 128)
    """fewest and most channels of a block, before `model.width`"""
    types: Annotated[tuple[BlockType, ...], Field(strict=False, min_length=1)] = (
        "conv", "separable", "inverted_residual", "residual", "pool",
    )  # fmt: skip
    """types of blocks that are inserted"""
    kernel_sizes: Annotated[tuple[Size, ...], Field(strict=False, min_length=1)] = (1, 3, 5, 7)
    """sides of convolutions' windows"""
    activations: Annotated[tuple[SearchedActivation, ...], Field(strict=False, min_length=1)] = (
        "relu", "leaky_relu", "silu", "hardswish",
    )  # fmt: skip
    """activation functions of blocks"""
    heads: Annotated[tuple[SearchedHead, ...], Field(strict=False, min_length=1)] = ("linear", "gap", "conv")
    """types of the head"""

    def __post_init__(self) -> None:
        if self.channels[0] > self.channels[1]:
            raise ValueError(f"`channels` (={list(self.channels)}) must be the fewest, then the most")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SpaceSettings:
    """A space in a file: settings with their values, in Hydra's grammar, and the limits of architectures."""

    settings: dict[str, str] = Field(default_factory=dict)
    """values by setting: `interval(0, 0.3)`, `choice(8, 12, 16)`, `range(1, 5)`, or a list such as `linear, gap`"""
    blocks: BlockLimits | None = None
    """limits of architectures; blocks vary if it is there, or with search.space=blocks"""


def searches_blocks(search: SearchSettings, space: SpaceSettings) -> bool:
    """Whether whole architectures are proposed."""
    return search.space == "blocks" or space.blocks is not None


def sampler_of(search: SearchSettings, space: SpaceSettings) -> SamplerName:
    """The sampler that is used: the one that is named, or the default."""
    return search.sampler or ("evolution" if searches_blocks(search, space) else "tpe")


def check_search(search: SearchSettings, space: SpaceSettings) -> list[Problem]:
    """What in these settings contradicts itself."""
    problems = []
    names = search.objectives
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    problems += [Problem("search.objectives", f"{name} is named twice") for name in repeated]
    measured = {"val/accuracy", "val/loss"} & set(names)
    if len(measured) == 2:
        rule = "val/accuracy and val/loss measure the same predictions; keep one of them"
        problems.append(Problem("search.objectives", rule))
    elif not measured:
        rule = f"got {', '.join(names)}, which the smallest network wins untrained; add val/accuracy"
        problems.append(Problem("search.objectives", rule))
    if search.budget == Budget(trials=None):
        problems.append(Problem("search.budget", "has no limit; set trials, epochs or seconds"))
    problems += _check_join(search)
    sampler = sampler_of(search, space)
    if searches_blocks(search, space) and sampler not in FOR_BLOCKS:
        rule = f"got {sampler!r}, which cannot propose whole architectures; use one of {', '.join(FOR_BLOCKS)}"
        problems.append(Problem("search.sampler", rule))
    if search.start == "nothing" and not searches_blocks(search, space):
        rule = "got 'nothing', but blocks do not vary; add search.space=blocks"
        problems.append(Problem("search.start", rule))
    return problems


def _check_join(search: SearchSettings) -> list[Problem]:
    if search.storage is None:
        rule = f"got {search.join!r}, but there is no search.storage; set it to postgresql://user@host/database"
        return [] if search.join is None else [Problem("search.join", rule)]
    scheme, _, rest = search.storage.partition("://")
    if _has_password(search.storage):
        rule = "must not contain a password, because it is saved with every run; use PGPASSWORD or ~/.pgpass"
        return [Problem("search.storage", rule)]
    if scheme.startswith("sqlite"):
        rule = "must be PostgreSQL: SQLite lets one process write at a time, and its locks fail on shared disks"
        return [Problem("search.storage", f"got {search.storage!r}, {rule}")]
    if scheme not in ("postgresql", "postgresql+psycopg2") or not rest:
        return [Problem("search.storage", f"got {search.storage!r}, must be postgresql://user@host/database")]
    if search.join is None:
        rule = f"got {search.storage!r}, but no study; name it with search.join=NAME"
        return [Problem("search.storage", rule)]
    return []


def _has_password(url: str) -> bool:
    user = url.partition("://")[2].partition("/")[0].rpartition("@")[0]
    return ":" in user or any(word.startswith("password=") for word in url.partition("?")[2].split("&"))
