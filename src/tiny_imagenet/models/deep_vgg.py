"""VGG-like CNN with more blocks, more filters and batch normalization, as the report's conclusion suggests.

Unlike the report's own (vgg.py) it has `same` padding, no biases before a normalization, and a global average in place
of flattening, so it takes images of any size.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from tiny_imagenet.models.layers.blocks import (
    any_size_input,
    convolution_norm,
    fully_connected,
    global_pooling,
    small_logits,
)


def build(
    *,
    image_size: int,
    num_classes: int,
    dropout: float,
    l2: float,
    name: str,
    filters: Sequence[int] = (64, 128, 256, 512),
    convolutions: Sequence[int] = (2, 2, 2, 2),
    pool_first: bool = False,
    input_pooling: int = 1,
    activation: str = "relu",
    hidden_units: int | None = 1024,
    batch_norm_momentum: float = 0.9,
) -> keras.Model:
    """Builds a model from images of any size to logits.

    With 200 classes it has 5,421,448 parameters, 5,417,608 of them trainable.

    Args:
        image_size: Not used: the network takes any size.
        num_classes: Number of classes.
        dropout: Rate on the inputs of each fully connected layer.
        l2: L2 factor of all kernels.
        name: Name of the model.
        filters: Channels of each block. Each block halves height and width by max pooling.
        convolutions: Number of convolutions of each block.
        pool_first: Whether a block pools after its first convolution instead of at its end. That saves most of the
            computation of the others (Jordan, 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU").
        input_pooling: Side in pixels of the squares that are averaged first.
        activation: Any activation of Keras.
        hidden_units: Units of the fully connected layer before the last; None: no such layer.
        batch_norm_momentum: Of the running mean and variance; lower for short trainings.

    Raises:
        ValueError: `filters` and `convolutions` differ in length.
    """
    if len(filters) != len(convolutions):
        raise ValueError(f"filters has {len(filters)} blocks, convolutions {len(convolutions)}")
    images, x = any_size_input(input_pooling)
    for block, (width, count) in enumerate(zip(filters, convolutions, strict=True), 1):
        for number in range(1, count + 1):
            here = f"block{block}_conv{number}"
            pool = pool_first and number == 1
            x = convolution_norm(x, width, 3, max_pooling=pool, momentum=batch_norm_momentum, l2=l2, name=here)
            x = layers.Activation(activation, name=f"{here}_{activation}")(x)
        if not pool_first:
            x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    x = global_pooling(x)
    if hidden_units:
        x = fully_connected(x, hidden_units, dropout=dropout, l2=l2, activation=activation, name="hidden")
    return keras.Model(images, small_logits(x, num_classes, dropout=dropout, l2=l2), name=name)
