"""Multiclass logistic regression on the pixels: the report's first baseline (section 2.5, Figure 2)."""

from __future__ import annotations

import keras
from keras import layers

from tiny_imagenet.models.layers.blocks import fully_connected, image_input


def build(*, image_size: int, num_classes: int, dropout: float, l2: float, name: str) -> keras.Model:
    """Builds a linear model from images to logits (64 x 64 pixels, 200 classes: 2,457,800 parameters)."""
    images, x = image_input(image_size)
    x = layers.Flatten()(x)
    logits = fully_connected(x, num_classes, dropout=dropout, l2=l2, activation=None, name="logits")
    return keras.Model(images, logits, name=name)
