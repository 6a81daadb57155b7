"""The layers that the report's models share."""

from __future__ import annotations

import keras
from keras import layers


def image_input(image_size: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Returns the input, (batch, image_size, image_size, 3) with values 0 to 255, and the same scaled to 0 to 1."""
    images = keras.Input((image_size, image_size, 3), name="image")
    return images, layers.Rescaling(1 / 255, name="scale")(images)


def convolution(x: keras.KerasTensor, filters: int, l2: float) -> keras.KerasTensor:
    """A 3 x 3 convolution without padding, and ReLU."""
    return layers.Conv2D(filters, 3, activation="relu", kernel_regularizer=_regularizer(l2))(x)


def fully_connected(
    x: keras.KerasTensor, units: int, *, dropout: float, l2: float, activation: str | None, name: str | None = None
) -> keras.KerasTensor:
    """Dropout on the inputs (none where it is 0), then a dense layer; without an activation it gives float32 logits."""
    if dropout:
        x = layers.Dropout(dropout)(x)
    dtype = None if activation else "float32"
    return layers.Dense(units, activation=activation, kernel_regularizer=_regularizer(l2), name=name, dtype=dtype)(x)


def _regularizer(l2: float) -> keras.regularizers.L2 | None:
    return keras.regularizers.L2(l2) if l2 else None
