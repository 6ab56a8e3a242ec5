"""A network with its preprocessing: the layouts of raw pixels, and what training sees of them."""

import numpy as np
import pytest
import torch
from torch import nn

from archsearch.data.batches import ImageSet
from archsearch.data.catalogue import DATASETS
from archsearch.model.classifier import Classifier, Preprocessing, as_images


def raw(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8))


def test_images_are_normalised_as_in_training() -> None:
    pixels, info = raw(5, 1, 28, 28), DATASETS["mnist"]
    images = ImageSet.of(info, pixels.numpy(), np.zeros(5, np.uint8), torch.device("cpu"), channels_last=False)
    prepared = Preprocessing(info.shape, info.mean, info.std)(pixels)
    torch.testing.assert_close(prepared, next(images.in_order(5))[0], rtol=0, atol=1e-7)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_layout_gives_the_same(channels: int) -> None:
    first = raw(4, channels, 6, 5)
    preprocessing = Preprocessing((channels, 6, 5), 0.4, 0.2)
    expected = preprocessing(first)
    assert expected.shape == (4, channels, 6, 5)
    for pixels in (first.permute(0, 2, 3, 1), as_images(first)):
        torch.testing.assert_close(preprocessing(pixels), expected, rtol=0, atol=0)
    assert as_images(first).shape == ((4, 6, 5) if channels == 1 else (4, 6, 5, 3))


def test_each_channel_has_its_own_statistics() -> None:
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 0.2)
    white = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    torch.testing.assert_close(Preprocessing((3, 2, 2), mean, std)(white)[0, :, 0, 0], torch.tensor([1.8, 3.2, 3.5]))


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (torch.zeros(2, 1, 28, 28), r"got images of float32 \(2, 1, 28, 28\), must be uint8 \(N, 28, 28\), "),
        (raw(2, 27, 28), r"got images of uint8 \(2, 27, 28\)"),
        (raw(28, 28), r"or \(N, 28, 28, 1\)"),
    ],
)
def test_other_images_are_refused(pixels: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessing((1, 28, 28), 0.1, 0.3)(pixels)


def test_a_classifier_has_the_networks_logits_and_no_other_weights() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    classifier = Classifier(Preprocessing((1, 2, 2), 0.5, 0.5), network, ["a", "b"])
    pixels = raw(3, 2, 2)
    torch.testing.assert_close(classifier(pixels), network((pixels[:, None] / 255 - 0.5) / 0.5))
    assert classifier.class_names == ("a", "b")
    assert set(classifier.state_dict()) == {"network.1.weight", "network.1.bias"}
