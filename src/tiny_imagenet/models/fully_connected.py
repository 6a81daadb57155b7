"""Network with one hidden layer: the report's second baseline (section 2.5, Figure 2)."""

from __future__ import annotations

import keras
from keras import layers

from tiny_imagenet.models.layers import blocks


def build(
    *, image_size: int, num_classes: int, dropout: float, l2: float, name: str, hidden_units: int = 1024
) -> keras.Model:
    """Builds a model from images to logits (64 x 64 pixels, 200 classes: 12,788,936 parameters)."""
    images, x = blocks.image_input(image_size)
    x = layers.Flatten()(x)
    x = blocks.fully_connected(x, hidden_units, dropout=dropout, l2=l2, activation="relu")
    logits = blocks.fully_connected(x, num_classes, dropout=dropout, l2=l2, activation=None, name="logits")
    return keras.Model(images, logits, name=name)
