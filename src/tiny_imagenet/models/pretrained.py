"""A network of `keras.applications`, already trained on ImageNet, under a new last layer.

Tiny ImageNet is taken from ImageNet: results with its weights are not to be set beside those from scratch
(docs/transfer.md).
"""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
from keras import layers

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.files import sha256_of
from tiny_imagenet.models.layers.blocks import BACKBONE, global_pooling, imagenet_normalized, small_logits

# What each expects its images as: what its `preprocess_input` makes of grey levels from 0 to 255.
MINUS_1_TO_1 = (
    *("MobileNet", "MobileNetV2", "InceptionV3", "InceptionResNetV2", "Xception", "NASNetMobile", "NASNetLarge"),
    *("ResNet50V2", "ResNet101V2", "ResNet152V2"),
)
IMAGENET_NORMALIZED = ("DenseNet121", "DenseNet169", "DenseNet201")
BLUE_FIRST_CENTRED = ("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152")
GREY_LEVELS = (  # the network itself begins with layers that normalise
    *("MobileNetV3Small", "MobileNetV3Large"),
    *(f"EfficientNetB{i}" for i in range(8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    *(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
)
BACKBONES = (*MINUS_1_TO_1, *IMAGENET_NORMALIZED, *BLUE_FIRST_CENTRED, *GREY_LEVELS)


def build(
    *,
    image_size: int,
    num_classes: int,
    dropout: float,
    l2: float,
    name: str,
    backbone: str = "MobileNetV2",
    weights: str | None = None,
    weights_sha256: str | None = None,
    input_size: int = 128,
) -> keras.Model:
    """Images of any size to logits (MobileNetV2, 200 classes: 2,514,184 parameters).

    While the backbone is fine-tuned, its batch normalisations stay as they are, and it drops nothing. `head_variables`
    of this package tells the rest of the model from it.

    Args:
        image_size: Not needed: images of any size are resized.
        num_classes: Number of classes.
        dropout: On the inputs of the last layer.
        l2: Of the last layer's kernel; the backbone has no penalty.
        name: The model's.
        backbone: Its name in `keras.applications`.
        weights: None: random; "imagenet": downloaded by Keras; else a file of the backbone's weights without its last
            layers (`include_top=False`): .weights.h5, or the .h5 that Keras publishes.
        weights_sha256: Of that file: with another one, a training is another.
        input_size: Side in pixels that images are resized to (bilinear) for the backbone.

    Raises:
        InputError: The file of weights is missing, is another one, or is not this backbone's.
        PipelineError: The weights cannot be downloaded.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"backbone is {backbone!r}, not one of {', '.join(BACKBONES)}")
    network = _build_backbone(backbone, weights, weights_sha256, input_size)
    images = keras.Input((None, None, 3), name="image")
    x = layers.Resizing(input_size, input_size, name="resize", dtype="float32")(images)
    x = network(preprocess(x, backbone))
    logits = small_logits(global_pooling(x, "average"), num_classes, dropout=dropout, l2=l2)
    return keras.Model(images, logits, name=name)


def preprocess(x: keras.KerasTensor, backbone: str) -> keras.KerasTensor:
    """Returns images (batch, height, width, 3), values 0 to 255, as a backbone expects them, float32."""
    if backbone in MINUS_1_TO_1:
        return layers.Rescaling(1 / 127.5, -1.0, name="scale", dtype="float32")(x)
    if backbone in IMAGENET_NORMALIZED:
        return imagenet_normalized(x)
    if backbone in BLUE_FIRST_CENTRED:
        return layers.Rescaling(1.0, [-103.939, -116.779, -123.68], name="scale", dtype="float32")(x[..., ::-1])
    return x


def _build_backbone(backbone: str, weights: str | None, sha256: str | None, size: int) -> keras.Model:
    """Returns the network up to its last feature maps, named "backbone", with its weights."""
    file = Path(weights) if weights not in (None, "imagenet") else None
    if file:
        _check(file, sha256)
    if file and backbone.startswith("EfficientNetB"):  # whose layers are others where Keras loads ImageNet's weights
        raise ValueError(f"weights of {backbone} must be null or imagenet")
    arguments = {"include_top": False, "weights": None if file else weights, "input_shape": (size, size, 3)}
    try:
        network = getattr(keras.applications, backbone)(**arguments)
    except ValueError:
        raise  # a size that it does not take
    except Exception as error:  # what Keras raises where it cannot download
        what = f"cannot be had ({error})"
        raise PipelineError(f"weights of {backbone}", what, "see to the network, or name a file") from None
    if file:
        _load(network, file)
    _fix_behaviour(network)
    return keras.Model(network.inputs[0], network.outputs[0], name=BACKBONE)


def _load(network: keras.Model, file: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each layer that does not fit
            network.load_weights(file)
    except Exception as error:  # Keras raises whatever its parts raise
        what = f"does not hold the weights of {network.name} without its last layers ({error})"
        raise InputError(file, what, "name a file that does") from None


def _fix_behaviour(network: keras.Model) -> None:
    """Makes a network do in training what it does in inference.

    Calling it with `training=False` would not: a functional model hands its own `training` to all that it calls.
    """
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False  # for Keras: use the running mean and variance, whatever `training`
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0


def _check(file: Path, sha256: str | None) -> None:
    if not file.is_file():
        raise InputError(file, "not found", "put the backbone's weights there, or change `weights`")
    if (found := sha256_of(file)) != sha256:
        what = "has no `weights_sha256` beside it" if sha256 is None else "is not the file of `weights_sha256`"
        raise InputError(file, f"{what}: its SHA-256 is {found}", "see whether it is the right one, and correct that")
