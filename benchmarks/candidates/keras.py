"""Keras 3 as its users write it: arrays in memory and `fit`. Network, initial weights and recipe are the reference's.

`KERAS_BACKEND` selects the backend; the default is the first of torch, JAX and TensorFlow that is installed.
"""

import os
from importlib.util import find_spec
from math import prod, sqrt
from pathlib import Path
from typing import Any

from candidates import reference

BACKENDS = ("torch", "jax", "tensorflow")


def main() -> None:
    """Train, evaluate, print."""
    options, clock = reference.arguments(), reference.Clock()
    reference.require("keras")
    backend = os.environ.get("KERAS_BACKEND") or next(filter(find_spec, BACKENDS), "torch")
    reference.require(backend)
    os.environ["KERAS_BACKEND"] = backend
    import keras

    channels_first = backend == "torch"  # torch's own layout, which saves a transposition per layer
    keras.config.set_image_data_format("channels_first" if channels_first else "channels_last")
    keras.utils.set_random_seed(options.seed)
    images, labels = _read(options.root, "train", channels_first)
    test_images, test_labels = _read(options.root, "t10k", channels_first)
    net = _network(keras, images.shape[1:])
    net.compile(
        keras.optimizers.SGD(reference.LR, momentum=reference.MOMENTUM),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    class Timing(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
            clock.start()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
            clock.step()

        def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
            clock.trained()

    net.fit(
        images[: options.images], labels[: options.images],
        batch_size=reference.BATCH, epochs=options.epochs, shuffle=True, verbose=0, callbacks=[Timing()],
    )  # fmt: skip
    clock.start()
    correct = int((net.predict(test_images, batch_size=1000, verbose=0).argmax(axis=1) == test_labels).sum())
    clock.evaluated()
    params = sum(prod(weight.shape) for weight in net.trainable_weights)
    assert params == reference.PARAMS
    packages = reference.versions("keras", backend)
    reference.emit(
        options, clock, params=params, correct=correct, tested=len(test_labels), backend=backend, versions=packages
    )


def _read(root: str, name: str, channels_first: bool) -> tuple[Any, Any]:
    import numpy as np

    raw = Path(root) / "MNIST" / "raw"
    pixels = np.fromfile(raw / f"{name}-images-idx3-ubyte", np.uint8, offset=16).reshape(-1, 28, 28)
    images = (pixels.astype(np.float32) / 255 - np.float32(reference.MEAN)) / np.float32(reference.DEVIATION)
    labels = np.fromfile(raw / f"{name}-labels-idx1-ubyte", np.uint8, offset=8).astype(np.int64)
    return np.expand_dims(images, 1 if channels_first else 3), labels


def _network(keras: Any, shape: tuple[int, ...]) -> Any:
    layers = keras.layers
    channels = 1 if keras.config.image_data_format() == "channels_first" else -1

    def initial(fan_in: int) -> dict[str, Any]:
        """The initialisation of torch: uniform within 1 / sqrt(fan_in). Keras draws once per initializer."""
        bound = 1 / sqrt(fan_in)
        kernel, bias = (keras.initializers.RandomUniform(-bound, bound) for _ in range(2))
        return {"kernel_initializer": kernel, "bias_initializer": bias}

    def block(inputs: int, outputs: int, kernel: int, rest: Any) -> list[Any]:
        return [
            layers.Conv2D(outputs, kernel, activation="relu", **initial(inputs * kernel**2)),
            layers.BatchNormalization(axis=channels, momentum=0.9, epsilon=1e-5),
            rest,
        ]

    def drop() -> Any:
        return layers.SpatialDropout2D(0.1)

    return keras.Sequential(
        [
            keras.Input(shape),
            *block(1, 12, 3, drop()), *block(12, 12, 3, drop()), *block(12, 24, 3, drop()),
            *block(24, 12, 1, layers.AveragePooling2D(2)), *block(12, 16, 3, drop()), *block(16, 32, 3, drop()),
            *block(32, 16, 1, layers.AveragePooling2D(2)),
            layers.Flatten(), layers.Dense(10, **initial(144)),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
