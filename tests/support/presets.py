"""The presets: the images that they are for, their parameters and MACs, and their drawings in docs/networks.

`python -m tests.support.presets` draws them again.
"""

from pathlib import Path
from typing import NamedTuple

from archsearch.model.drawing import Drawing, draw, to_svg
from archsearch.model.plan import Plan
from archsearch.system.atomic import write_text
from tests.support.models import MNIST, lower
from tests.support.requests import ask

CIFAR = (3, 32, 32)
DRAWINGS = Path(__file__).parents[2] / "docs" / "networks"


class Preset(NamedTuple):
    """A model in conf/model, and what its network for such images has."""

    shape: tuple[int, ...]
    params: int
    macs: float  # millions
    classes: int = 10


PRESETS = {
    "session4": Preset(MNIST, 12_954, 2.606),
    "session4_gap": Preset(MNIST, 11_674, 2.604),
    "session4_end_dropout": Preset(MNIST, 12_954, 2.606),
    "session4_conv_head": Preset(MNIST, 11_674, 2.606),
    "session5_step1": Preset(MNIST, 4_750, 1.1327),
    "session5_step2": Preset(MNIST, 4_750, 1.1327),
    "session5_step3": Preset(MNIST, 7_412, 0.9538),
    "session5_step4": Preset(MNIST, 7_412, 0.9538),
    "session7": Preset(CIFAR, 185_418, 20.748),
    "lenet5": Preset(MNIST, 61_706, 0.4165),
    "all_cnn_c": Preset(CIFAR, 1_369_738, 270.8),
    "nin_cifar": Preset(CIFAR, 966_986, 222.5),
    "vgg11_bn_cifar": Preset(CIFAR, 9_231_114, 152.8),
    "resnet20": Preset(CIFAR, 269_722, 40.55),
    "resnet20_b": Preset(CIFAR, 272_474, 40.81),
    "mobilenet_v2_cifar": Preset(CIFAR, 2_296_922, 91.155),
    "squeezenet1_1": Preset((3, 224, 224), 1_235_496, 349.2, 1000),
    "pytorch_mnist": Preset(MNIST, 1_199_882, 11.99),
    "keras_mnist": Preset(MNIST, 34_826, 2.441),
    "cdeotte_mnist": Preset(MNIST, 326_410, 15.16),
    "evolved_3014": Preset(MNIST, 3_014, 0.339),
    "evolved_1622": Preset(MNIST, 1_622, 0.1805),
    "evolved_1064": Preset(MNIST, 1_064, 0.2873),
}


def plan_of(name: str) -> Plan:
    """The network of a preset, for its images."""
    return lower(ask(f"model={name}").config["model"], PRESETS[name].shape, PRESETS[name].classes)


def drawing_of(name: str) -> Drawing:
    """The drawing of a preset."""
    return draw(plan_of(name), name)


if __name__ == "__main__":
    for name in PRESETS:
        write_text(DRAWINGS / f"{name}.svg", to_svg(drawing_of(name)))
