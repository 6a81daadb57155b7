"""VGG-like CNN of the report: three blocks of two convolutions, two fully connected layers (section 2.6, Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from tiny_imagenet.models.layers.blocks import convolution, fully_connected, image_input


def build(
    *,
    image_size: int,
    num_classes: int,
    dropout: float,
    l2: float,
    name: str,
    filters: Sequence[int] = (32, 64, 128),
    hidden_units: int = 1024,
) -> keras.Model:
    """Builds a model from images to logits (64 x 64 pixels, 200 classes: 2,590,184 parameters)."""
    images, x = image_input(image_size)
    for width in filters:
        x = layers.MaxPooling2D()(convolution(convolution(x, width, l2), width, l2))
    x = layers.Flatten()(x)
    x = fully_connected(x, hidden_units, dropout=dropout, l2=l2, activation="relu")
    logits = fully_connected(x, num_classes, dropout=dropout, l2=l2, activation=None, name="logits")
    return keras.Model(images, logits, name=name)
