"""The data sets: sizes, classes, statistics, checksums. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from archsearch.errors import ConfigError, Problem

_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


@dataclass(frozen=True)
class DatasetInfo:
    """One data set: 28x28 grey images in ten classes.

    `mean` and `std` are those of the training pixels, scaled to [0, 1]. Images are normalised with them, and files with
    another mean are rejected. `checksums` are the SHA-256 of unpacked files, where known.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    train_images: int
    test_images: int
    mean: float
    std: float
    folder: str | None  # torchvision's name of the class and the folder; None if no files are needed
    checksums: Mapping[str, str] = field(default_factory=dict, hash=False)
    shape: tuple[int, int, int] = (1, 28, 28)

    @property
    def default_validation(self) -> int:
        """Number of training images held out if `data.validation` is null."""
        return self.train_images // 6


TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

DATASETS = {
    info.name: info
    for info in (
        DatasetInfo(
            name="mnist",
            title="MNIST",
            classes=_DIGITS,
            train_images=60_000,
            test_images=10_000,
            mean=0.1307,
            std=0.3081,
            folder="MNIST",
            checksums={
                TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            },
        ),
        DatasetInfo("fashion_mnist", "Fashion-MNIST", _CLOTHES, 60_000, 10_000, 0.2860, 0.3530, "FashionMNIST"),
        DatasetInfo("kmnist", "Kuzushiji-MNIST", _KANA, 60_000, 10_000, 0.1918, 0.3483, "KMNIST"),
        DatasetInfo("digits", "scikit-learn digits", _DIGITS, 1_500, 297, 0.3059, 0.3251, None),
    )
}


def dataset_info(name: str) -> DatasetInfo:
    """The data set `name`; MNIST for `auto`."""
    return DATASETS["mnist" if name == "auto" else name]


def holdout_size(info: DatasetInfo, validation: int | None) -> int:
    """The number of training images held out. Raises `ConfigError` if that leaves too few images in either part."""
    size = info.default_validation if validation is None else validation
    classes = len(info.classes)
    if size and not classes <= size <= info.train_images - classes:
        rule = f"0, or between {classes} and {info.train_images - classes:,} of {info.title}'s training images"
        raise ConfigError([Problem("data.validation", f"got {size}, must be {rule}")])
    return size


def steps_per_epoch(images: int, batch_size: int) -> int:
    """The number of batches in an epoch of `images` images. A last batch of a single image is dropped."""
    full, rest = divmod(images, batch_size)
    return full + (rest > 1)
