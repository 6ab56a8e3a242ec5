"""Whether what has left archsearch computes what PyTorch computes."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch.errors import RunError, first_line
from archsearch.model.classifier import Classifier, as_images

BATCHES = (1, 2, 7)
EXAMPLES = 2  # images to export with; torch.export specialises on one
_TOLERANCE = 1e-4  # of a logit, or of the largest one if that is larger than 1


def example_pixels(classifier: Classifier, batch: int) -> Tensor:
    """Random images as exported networks take them: uint8 (batch, height, width), or with channels last."""
    random = np.random.default_rng(batch)
    shape = (batch, *classifier.preprocessing.shape)
    return as_images(torch.from_numpy(random.integers(0, 256, shape, dtype=np.uint8)))


def cannot_export(form: str, error: BaseException) -> RunError:
    """What to raise where torch cannot export to `form`: with the first cause, which it names last or not at all."""
    while error.__cause__ is not None:
        error = error.__cause__
    return RunError(f"format={form}: torch cannot export the network: {type(error).__name__}: {first_line(error)}")


def largest_difference(classifier: Classifier, compute: Callable[[Tensor], NDArray[np.float32]], what: str) -> float:
    """The largest difference between the logits of `compute` and those of `classifier`, over batches of 1, 2 and 7.

    Raises `RunError`, which names `what`, if it is more than 1e-4 (of the largest logit, if that is larger than 1).
    """
    largest = 0.0
    for batch in BATCHES:
        pixels = example_pixels(classifier, batch)
        with torch.inference_mode():
            expected = classifier(pixels).numpy()
        difference = float(np.abs(compute(pixels) - expected).max())
        if not difference <= _TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise RunError(f"{what}: its logits differ from PyTorch's by {difference:.2g} in a batch of {batch}")
        largest = max(largest, difference)
    return largest
