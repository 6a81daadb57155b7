"""Builds the model of a training from the module of its architecture."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from tiny_imagenet.models.layers.blocks import BACKBONE

ARCHITECTURES = "tiny_imagenet.models"  # the package with one module per architecture


def build_model(
    architecture: str, *, image_size: int, num_classes: int, dropout: float, l2: float, seed: int, **arguments: Any
) -> keras.Model:
    """Builds a model whose initial weights are a function of `seed`.

    Args:
        architecture: The name of a file in models/.
        image_size: Height and width of the images, in pixels.
        num_classes: Number of classes.
        dropout: Fraction of the inputs of each fully connected layer that is set to zero in training.
        l2: Factor of the sum of squares of each kernel in the loss.
        seed: The seed of the initial weights.
        **arguments: Further arguments of the architecture.

    Returns:
        A Keras model from images (batch, image_size, image_size, 3), values 0 to 255, to logits (batch, num_classes).
    """
    module = importlib.import_module(f"{ARCHITECTURES}.{architecture}")
    keras.utils.set_random_seed(seed)
    model: keras.Model = module.build(
        image_size=image_size, num_classes=num_classes, dropout=dropout, l2=l2, name=architecture, **arguments
    )
    return model


@contextmanager
def dtype_policy(precision: str) -> Iterator[None]:
    """Sets Keras' dtype policy inside the block to that of a recipe's `precision`; weights are always float32.

    `tf32` is float32 to Keras: TensorFlow rounds the inputs of products itself (distribute/devices.py).
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "tf32" else precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def head_variables(model: keras.Model) -> list[keras.Variable]:
    """Returns the trainable variables outside the layer named "backbone"; all if there is no such layer."""
    backbone = {id(v) for layer in model.layers if layer.name == BACKBONE for v in layer.trainable_variables}
    return [variable for variable in model.trainable_variables if id(variable) not in backbone]
