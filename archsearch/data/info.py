"""What is known of a data set before it is read: shape, classes, sizes, statistics, files. No torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from archsearch.errors import ConfigError, Problem


@dataclass(frozen=True)
class DatasetFiles:
    """The files of a public data set, in the format and the folder in which torchvision leaves them.

    `checksums` are those of unpacked files where they are known: SHA-256, or MD5 where torchvision has them.
    `downloads` are the arguments of each of torchvision's downloads. `first_label` is the label of the first class.
    """

    format: Literal["idx", "cifar", "svhn"]
    folder: str  # below data.root
    train: tuple[str, ...]
    test: tuple[str, ...]
    torchvision: str  # its class
    checksums: Mapping[str, str] = field(default_factory=dict, hash=False)
    downloads: tuple[tuple[tuple[str, Any], ...], ...] = ((),)
    first_label: int = 0
    transposed: bool = False  # rows and columns are swapped on disk
    named_alike: bool = False  # other data sets have files of the same names

    @property
    def names(self) -> tuple[str, ...]:
        """All files."""
        return self.train + self.test


@dataclass(frozen=True)
class DatasetInfo:
    """One data set: images of `shape` = (channels, height, width) in `classes`.

    `mean` and `std` (channels,) are those of the training pixels, scaled to [0, 1]. Images are normalised with them.
    A data set of a person's own has a `validation_images` part if they chose one, `content`, the hash of its images
    and labels, and `cache`, its folder below the cache. It has no `files`, and neither have scikit-learn's digits.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    train_images: int  # with those of `validation_images`
    test_images: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    files: DatasetFiles | None = None
    validation_images: int = 0  # the last of the training images
    content: str | None = None
    cache: str | None = None
    class_sizes: tuple[int, ...] = ()  # training images of each class, unless they are about equal

    @property
    def default_validation(self) -> int:
        """Number of training images held out if `data.validation` is null: a sixth, at least one a class."""
        return self.validation_images or max(self.train_images // 6, len(self.classes))

    @property
    def bytes(self) -> int:
        """The size of all images in memory."""
        channels, height, width = self.shape
        return (self.train_images + self.test_images) * channels * height * width

    def as_dict(self) -> dict[str, Any]:
        """Plain values, without the files; `from_dict` restores the data set from them."""
        values = {key: value for key, value in asdict(self).items() if key != "files"}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "DatasetInfo":
        """Restore a data set from the values of `as_dict`. Raises `KeyError`, `TypeError` or `ValueError`."""
        known = {item.name: values[item.name] for item in fields(cls) if item.name in values}
        channels, height, width = map(int, values["shape"])
        return cls(
            **{
                **known,
                "classes": tuple(map(str, values["classes"])),
                "shape": (channels, height, width),
                "mean": tuple(map(float, values["mean"])),
                "std": tuple(map(float, values["std"])),
                "class_sizes": tuple(map(int, values.get("class_sizes", ()))),
            }
        )


def holdout_size(info: DatasetInfo, validation: int | None) -> int:
    """The number of training images held out. Raises `ConfigError` if that leaves too few images in either part."""
    size = info.default_validation if validation is None else validation
    classes = len(info.classes)
    if info.validation_images and size not in (0, info.validation_images):
        rule = (
            f"got {size}, must be null or 0: {info.title} has {info.validation_images:,} validation images of its own"
        )
        raise ConfigError([Problem("data.validation", rule)])
    if size and not info.validation_images and not classes <= size <= info.train_images - classes:
        limits = f"between {classes} and {info.train_images - classes:,}"
        rule = f"0, or {limits} of {info.title}'s training images"
        if info.train_images < 2 * classes:
            rule = f"0: {info.title} has {info.train_images:,} training images in {classes} classes"
        raise ConfigError([Problem("data.validation", f"got {size}, must be {rule}")])
    return size


def steps_per_epoch(images: int, batch_size: int) -> int:
    """The number of batches in an epoch of `images` images. A last batch of a single image is dropped."""
    full, rest = divmod(images, batch_size)
    return full + (rest > 1)
