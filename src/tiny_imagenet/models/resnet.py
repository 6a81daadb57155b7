"""Residual network with a stem for small images; the defaults are ResNet-18.

Source: He et al., 2016, "Deep Residual Learning for Image Recognition", with the stem of its CIFAR networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import layers

from tiny_imagenet.models.layers.blocks import any_size_input, convolution_norm, global_pooling, small_logits


@dataclass(frozen=True)
class _Blocks:
    """The settings that all blocks of a network share."""

    activation: str
    last_gamma: str
    momentum: float
    l2: float

    def basic(self, x: keras.KerasTensor, width: int, strides: int, name: str) -> keras.KerasTensor:
        """Adds the shortcut to two 3 x 3 convolutions; the activation comes after the sum."""
        shortcut = self._shortcut(x, width, strides, name)
        x = self.norm(x, width, 3, f"{name}_conv1", strides=strides)
        x = layers.Activation(self.activation, name=f"{name}_conv1_{self.activation}")(x)
        x = self.norm(x, width, 3, f"{name}_conv2", gamma=self.last_gamma)
        return layers.Activation(self.activation, name=f"{name}_{self.activation}")(
            layers.Add(name=f"{name}_add")([shortcut, x])
        )

    def norm(
        self, x: keras.KerasTensor, width: int, size: int, name: str, *, strides: int = 1, gamma: str = "ones"
    ) -> keras.KerasTensor:
        """Applies a convolution and its batch normalization."""
        return convolution_norm(
            x, width, size, strides=strides, momentum=self.momentum, l2=self.l2, gamma=gamma, name=name
        )

    def _shortcut(self, x: keras.KerasTensor, width: int, strides: int, name: str) -> keras.KerasTensor:
        if strides == 1 and x.shape[-1] == width:
            return x
        return self.norm(x, width, 1, f"{name}_shortcut", strides=strides)


def build(
    *,
    image_size: int,
    num_classes: int,
    dropout: float,
    l2: float,
    name: str,
    widths: Sequence[int] = (64, 128, 256, 512),
    depths: Sequence[int] = (2, 2, 2, 2),
    input_pooling: int = 1,
    activation: str = "relu",
    zero_init_residual: bool = True,
    batch_norm_momentum: float = 0.9,
) -> keras.Model:
    """Builds a model from images of any size to logits.

    With 200 classes it has 11,281,032 parameters, 11,271,432 of them trainable.

    Args:
        image_size: Not used: the network takes any size.
        num_classes: Number of classes.
        dropout: Rate on the inputs of the last layer.
        l2: L2 factor of all kernels.
        name: Name of the model.
        widths: Channels of each stage; the stem has those of the first. Every stage but the first halves height and
            width in its first block.
        depths: Number of blocks of each stage.
        input_pooling: Side in pixels of the squares that are averaged first.
        activation: Any activation of Keras.
        zero_init_residual: Whether each block starts as its shortcut (Goyal et al., 2017).
        batch_norm_momentum: Of the running mean and variance; lower for short trainings.

    Raises:
        ValueError: `widths` and `depths` differ in length.
    """
    if len(widths) != len(depths):
        raise ValueError(f"widths has {len(widths)} stages, depths {len(depths)}")
    blocks = _Blocks(activation, "zeros" if zero_init_residual else "ones", batch_norm_momentum, l2)
    images, x = any_size_input(input_pooling)
    x = blocks.norm(x, widths[0], 3, "stem")
    x = layers.Activation(activation, name=f"stem_{activation}")(x)
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
        for block in range(1, depth + 1):
            x = blocks.basic(x, width, 2 if stage > 1 and block == 1 else 1, f"stage{stage}_block{block}")
    logits = small_logits(global_pooling(x), num_classes, dropout=dropout, l2=l2)
    return keras.Model(images, logits, name=name)
