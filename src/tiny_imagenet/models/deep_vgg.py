"""What the report's conclusion asks for: its VGG-like CNN with more blocks, more filters and batch normalisation.

Beside the report's own (vgg.py): `same` padding, no biases under the normalisation, and a global average instead of
flattening, which takes images of any size.
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
    """Images of any size to logits (200 classes: 5,421,448 parameters, 5,417,608 of them trained).

    Args:
        image_size: Not needed: the network takes any size.
        num_classes: Number of classes.
        dropout: On the inputs of each fully connected layer.
        l2: Of all kernels.
        name: The model's.
        filters: Channels of each block, which halves height and width.
        convolutions: Convolutions of each block.
        pool_first: Whether it does so right after its first convolution, which saves most of the others' computing,
            and not at its end (Jordan, 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU").
        input_pooling: Side of the squares of pixels that are averaged first.
        activation: Any of Keras.
        hidden_units: Of the fully connected layer before the last; None: there is none.
        batch_norm_momentum: How much of the running mean and variance each step keeps; less for short trainings.
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
    x = global_pooling(x, "average")
    if hidden_units:
        x = fully_connected(x, hidden_units, dropout=dropout, l2=l2, activation=activation, name="hidden")
    return keras.Model(images, small_logits(x, num_classes, dropout=dropout, l2=l2), name=name)
