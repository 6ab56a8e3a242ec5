"""The typed settings of augmentation: transforms that can be combined, each with a file in `conf/augment/`.

Names are torchvision's where it has the transform.
"""

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT, Fraction, PositiveFloat, Size, names_of

Portion = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Fill: TypeAlias = Literal["mean", "black", "noise"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Affine:
    """Random rotation, shift and scale, as torchvision's RandomAffine. Pixels from outside the image are black."""

    degrees: Annotated[float, Field(ge=0, le=180)]
    """rotation, drawn from [-degrees, degrees]"""
    translate: Portion
    """shift as a fraction of the image's side, drawn from [-translate, translate]"""
    scale: Fraction
    """change of size: its factor is drawn from [1 - scale, 1 + scale]"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Crop:
    """A random crop of the padded image, as torchvision's RandomCrop: a shift by whole pixels."""

    padding: Size
    """pixels that are added on each side, so the longest shift"""
    padding_mode: Literal["constant", "edge", "reflect"] = "constant"
    """what is added: black, the pixels at the edge, or the image mirrored there"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Flip:
    """Mirrors left and right, as torchvision's RandomHorizontalFlip."""

    p: Portion = 0.5
    """probability that an image is flipped"""
    alternating: bool = False
    """flip each image in every second epoch, a random half of them in the first (arXiv:2404.00498)"""

    def __post_init__(self) -> None:
        if self.alternating and self.p != 0.5:
            raise ValueError(
                f"`alternating` (=true) flips half of the images, but `p` is {self.p}; leave out one of them"
            )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ColorJitter:
    """Random changes of colour in this order, as torchvision's ColorJitter. Saturation and hue need colour images."""

    brightness: Portion = 0.0
    """the factor is drawn from [1 - brightness, 1 + brightness]"""
    contrast: Portion = 0.0
    """the factor is drawn from [1 - contrast, 1 + contrast]"""
    saturation: Portion = 0.0
    """the factor is drawn from [1 - saturation, 1 + saturation]"""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """shift as a fraction of the colour circle, drawn from [-hue, hue]"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Erasing:
    """Erases a random rectangle, as torchvision's RandomErasing (arXiv:1708.04896)."""

    p: Portion = 0.5
    """probability that an image is changed"""
    scale: Annotated[tuple[Share, Share], Field(strict=False)] = (0.02, 0.33)
    """smallest and largest area, as fractions of the image's"""
    ratio: Annotated[tuple[PositiveFloat, PositiveFloat], Field(strict=False)] = (0.3, 3.3)
    """smallest and largest ratio of height to width"""
    fill: Fill = "mean"
    """what replaces the pixels: the data set's mean, black, or a random value for each"""

    def __post_init__(self) -> None:
        for name, (least, most) in {"scale": self.scale, "ratio": self.ratio}.items():
            if least > most:
                raise ValueError(f"`{name}` (=[{least},{most}]) must begin with the smaller number")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Cutout:
    """Erases a square around a random pixel, cut off at the image's edges (arXiv:1708.04552)."""

    size: Size
    """side of the square in pixels"""
    fill: Fill = "mean"
    """what replaces the pixels: the data set's mean, black, or a random value for each"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MixUp:
    """Blends each image with another of its batch, and their labels, as torchvision's MixUp (arXiv:1710.09412)."""

    alpha: PositiveFloat
    """the share is drawn from Beta(alpha, alpha) for each batch; the larger, the nearer to a half"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CutMix:
    """Replaces a rectangle by another image's, and that share of the label, as torchvision's CutMix (arXiv:1905.04899).

    Beside mixup, each batch gets one of the two.
    """

    alpha: PositiveFloat
    """the share is drawn from Beta(alpha, alpha) for each batch; 1 draws every area alike"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Augment:
    """Random changes of the training images. They follow one another in this order, however they are listed."""

    affine: Affine | None = None
    """rotation, shift and scale"""
    crop: Crop | None = None
    """shift by whole pixels"""
    flip: Flip | None = None
    """left and right"""
    color_jitter: ColorJitter | None = None
    """brightness, contrast, saturation and hue"""
    erasing: Erasing | None = None
    """a rectangle is erased"""
    cutout: Cutout | None = None
    """a square is erased"""
    mixup: MixUp | None = None
    """blends images and their labels"""
    cutmix: CutMix | None = None
    """a rectangle of another image"""


def in_present_form(config: Any) -> Any:
    """A whole configuration, its section `augment` written as it is since transforms can be combined.

    Before, an option held the settings of one transform, and its `type`: none or affine.
    """
    augment = config.get("augment") if isinstance(config, dict) else None
    if not isinstance(augment, dict) or augment.get("type") not in ("none", "affine"):
        return config
    transforms = {name: value for name, value in augment.items() if name in names_of(Augment)}
    others = {name: value for name, value in augment.items() if name != "type" and name not in transforms}
    if augment["type"] == "affine":
        others = {"affine": {**others, **(transforms.pop("affine", None) or {})}}
    return {**config, "augment": {**transforms, **others}}


def present_name(setting: str) -> str:
    """The path of a setting from before transforms could be combined, as it is today; any other as it is."""
    if setting == "augment.type":
        return "augment"
    return re.sub(r"^augment\.(degrees|translate|scale)$", r"augment.affine.\1", setting)
