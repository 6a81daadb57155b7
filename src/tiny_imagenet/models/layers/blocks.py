"""Layers of the report's models and of networks with batch normalization."""

from __future__ import annotations

import keras
from keras import layers

BACKBONE = "backbone"  # name of the layer that holds a pretrained network
# Mean and standard deviation of ImageNet's pixels, red, green, blue, 0 to 1, as in torchvision.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def image_input(image_size: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Returns the input, (batch, image_size, image_size, 3) with values 0 to 255, and the same scaled to 0 to 1."""
    images = keras.Input((image_size, image_size, 3), name="image")
    return images, layers.Rescaling(1 / 255, name="scale")(images)


def any_size_input(input_pooling: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Returns the input, (batch, height, width, 3) of any size with values 0 to 255, and the same normalized.

    Args:
        input_pooling: Side in pixels of the squares that are averaged first: with 2, a side of 64 pixels becomes 32.
    """
    images = x = keras.Input((None, None, 3), name="image")
    if input_pooling > 1:
        x = layers.AveragePooling2D(input_pooling, name="input_pooling", dtype="float32")(x)
    return images, imagenet_normalized(x)


def imagenet_normalized(x: keras.KerasTensor) -> keras.KerasTensor:
    """Shifts and scales each channel, values 0 to 255, by ImageNet's constants.

    In float32 with every precision: bfloat16 would round pixel values.
    """
    scale = [1 / (255 * std) for std in IMAGENET_STD]
    offset = [-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    return layers.Rescaling(scale, offset, name="scale", dtype="float32")(x)


def convolution_norm(
    x: keras.KerasTensor,
    filters: int,
    size: int,
    *,
    strides: int = 1,
    max_pooling: bool = False,
    momentum: float,
    l2: float,
    gamma: str = "ones",
    name: str,
) -> keras.KerasTensor:
    """Applies a convolution without bias, its size `same` divided by `strides`, then batch normalization.

    Kernels are initialized as in He et al., 2015, "Delving Deep into Rectifiers", by fan-out.

    Args:
        x: (batch, height, width, channels).
        filters: Channels of the output.
        size: Height and width of the kernel.
        strides: 1 or 2. With 2, windows are centered on pixels 0, 2, 4 ..., as those of a 1 x 1 kernel
            (TensorFlow's own `same` centers them on 1, 3, 5 ...).
        max_pooling: Whether max pooling halves height and width between the two.
        momentum: Of the running mean and variance.
        l2: L2 factor of the kernel.
        gamma: Initial factor of the normalized values: "ones" or "zeros".
        name: Name of the convolution; that of the normalization ends in "_norm".
    """
    padding = "same"
    if strides > 1 and size > 1:
        x, padding = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x), "valid"
    he = keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")
    x = layers.Conv2D(
        filters,
        size,
        strides,
        padding,
        use_bias=False,
        kernel_initializer=he,
        kernel_regularizer=_regularizer(l2),
        name=name,
    )(x)
    if max_pooling:
        x = layers.MaxPooling2D(name=f"{name}_pool")(x)
    return layers.BatchNormalization(momentum=momentum, epsilon=1e-5, gamma_initializer=gamma, name=f"{name}_norm")(x)


def global_pooling(x: keras.KerasTensor) -> keras.KerasTensor:
    """Returns each channel's average over the image, float32 (batch, channels)."""
    return layers.GlobalAveragePooling2D(name="pool", dtype="float32")(x)


def convolution(x: keras.KerasTensor, filters: int, l2: float) -> keras.KerasTensor:
    """Applies a 3 x 3 convolution without padding, then ReLU."""
    return layers.Conv2D(filters, 3, activation="relu", kernel_regularizer=_regularizer(l2))(x)


def fully_connected(
    x: keras.KerasTensor, units: int, *, dropout: float, l2: float, activation: str | None, name: str | None = None
) -> keras.KerasTensor:
    """Applies dropout (none where it is 0), then a dense layer; without an activation the result is float32 logits."""
    if dropout:
        x = layers.Dropout(dropout)(x)
    dtype = None if activation else "float32"
    return layers.Dense(units, activation=activation, kernel_regularizer=_regularizer(l2), name=name, dtype=dtype)(x)


def small_logits(x: keras.KerasTensor, num_classes: int, *, dropout: float, l2: float) -> keras.KerasTensor:
    """Applies dropout, then a dense layer to float32 logits, its kernel initialized with standard deviation 0.01.

    All classes are about equally likely at first (Goyal et al., 2017, "Accurate, Large Minibatch SGD: Training ImageNet
    in 1 Hour", section 5.1).
    """
    if dropout:
        x = layers.Dropout(dropout)(x)
    normal = keras.initializers.RandomNormal(stddev=0.01)
    return layers.Dense(
        num_classes, kernel_initializer=normal, kernel_regularizer=_regularizer(l2), name="logits", dtype="float32"
    )(x)


def _regularizer(l2: float) -> keras.regularizers.L2 | None:
    return keras.regularizers.L2(l2) if l2 else None
