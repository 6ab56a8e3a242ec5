"""The typed settings of training: initialisation, optimizer, scheduler, weight averaging.

They are here, not beside the code that they configure, because that code imports torch, and a configuration is
validated before torch is imported.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT, Factor, Fraction, NonNegativeFloat, PositiveFloat, PositiveInt


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Initial:
    """The initial weights of the convolutions."""

    first_conv: Literal["torch", "whitening"] = "torch"
    """the first convolution's filters: torch's, or ones that decorrelate patches of the images"""
    convs: Literal["torch", "dirac"] = "torch"
    """the other convolutions: torch's, or with the identity in as many channels as possible"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SGD:
    type: Literal["sgd"] = "sgd"
    lr: PositiveFloat
    """learning rate; a scheduler starts from it or rises to it"""
    momentum: Fraction = 0.0
    """share of the last step that is added to the next"""
    nesterov: bool = False
    """Nesterov's momentum"""
    weight_decay: NonNegativeFloat = 0.0
    """L2 penalty of the weights"""
    norm_lr_factor: Factor = 1.0
    """factor of `lr` for the weights and biases of norm layers"""
    bias_lr_factor: Factor = 1.0
    """factor of `lr` for all other biases"""

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov` (=true) needs `momentum` above 0")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Adam:
    type: Literal["adam", "adamw"]
    lr: PositiveFloat
    """learning rate; a scheduler starts from it or rises to it"""
    betas: Annotated[tuple[Fraction, Fraction], Field(strict=False)] = (0.9, 0.999)
    """decay of the averages of gradients and of their squares"""
    eps: PositiveFloat = 1e-8
    """number added to the denominator"""
    weight_decay: NonNegativeFloat = 0.0
    """L2 penalty of the weights (adam), or decoupled decay (adamw)"""
    norm_lr_factor: Factor = 1.0
    """factor of `lr` for the weights and biases of norm layers"""
    bias_lr_factor: Factor = 1.0
    """factor of `lr` for all other biases"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Constant:
    type: Literal["constant"] = "constant"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MultiStep:
    """Multiplies the learning rate by `gamma` after each of the epochs in `milestones`."""

    type: Literal["multistep"] = "multistep"
    milestones: Annotated[tuple[PositiveInt, ...], Field(strict=False)]
    """epochs after which the learning rate is multiplied by gamma"""
    gamma: Factor = 0.1
    """factor of the learning rate at each milestone"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Cosine:
    """From `optimizer.lr` down to `min_lr` along half a cosine, updated every step."""

    type: Literal["cosine"] = "cosine"
    min_lr: NonNegativeFloat = 0.0
    """learning rate at the end"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OneCycle:
    """Up to `optimizer.lr` and down again, updated every step (Smith, arXiv:1708.07120; torch's OneCycleLR)."""

    type: Literal["one_cycle"] = "one_cycle"
    pct_start: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """share of the steps in which the learning rate rises"""
    div_factor: Factor = 25.0
    """the learning rate starts at optimizer.lr / div_factor"""
    final_div_factor: Annotated[float, Field(ge=1e-6, le=1e12)] = 1e4
    """the learning rate ends at its start / final_div_factor"""
    anneal_strategy: Literal["cos", "linear"] = "cos"
    """shape of the learning rate's rise and fall"""
    cycle_momentum: bool = True
    """let momentum fall and rise in the opposite direction"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NoAveraging:
    type: Literal["none"] = "none"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EMA:
    """Evaluates and saves an exponential moving average of the weights. Training itself is unchanged."""

    type: Literal["ema"] = "ema"
    decay: Fraction = 0.99
    """share of the average that each update keeps; lower in the first updates"""
    every: PositiveInt = 1
    """steps between updates"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Lookahead:
    """Every few steps, slow weights move towards the trained ones, and training continues from them.

    The slow weights are evaluated and saved.
    """

    type: Literal["lookahead"] = "lookahead"
    alpha: Annotated[float, Field(gt=0, le=1)] = 0.5
    """how far the slow weights move towards the trained ones"""
    every: PositiveInt = 5
    """steps between moves"""


Optimizer: TypeAlias = Annotated[SGD | Adam, Field(discriminator="type")]
Scheduler: TypeAlias = Annotated[Constant | MultiStep | Cosine | OneCycle, Field(discriminator="type")]
Averaging: TypeAlias = Annotated[NoAveraging | EMA | Lookahead, Field(discriminator="type")]
