"""Backbone of `keras.applications`, pretrained on ImageNet, with a new last layer.

The images of Tiny ImageNet are from ImageNet: results with its weights are not comparable with those from scratch
(docs/pretrained.md).
"""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
from keras import layers

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.files import sha256_of
from tiny_imagenet.models.layers.blocks import BACKBONE, global_pooling, imagenet_normalized, small_logits

# The backbones by the input that they expect: what their `preprocess_input` makes of values from 0 to 255.
MINUS_1_TO_1 = (
    *("MobileNet", "MobileNetV2", "InceptionV3", "InceptionResNetV2", "Xception", "NASNetMobile", "NASNetLarge"),
    *("ResNet50V2", "ResNet101V2", "ResNet152V2"),
)
IMAGENET_NORMALIZED = ("DenseNet121", "DenseNet169", "DenseNet201")
BGR_CENTERED = ("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152")
FROM_0_TO_255 = (  # the network begins with its own normalization
    *("MobileNetV3Small", "MobileNetV3Large"),
    *(f"EfficientNetB{i}" for i in range(8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    *(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
)
BACKBONES = (*MINUS_1_TO_1, *IMAGENET_NORMALIZED, *BGR_CENTERED, *FROM_0_TO_255)


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
    """Builds a model from images of any size to logits (MobileNetV2, 200 classes: 2,514,184 parameters).

    The backbone runs in inference mode, also while it is fine-tuned: its batch normalizations use and keep their
    running statistics, and it has no dropout.

    Args:
        image_size: Not used: images of any size are resized to `input_size`.
        num_classes: Number of classes.
        dropout: Rate on the inputs of the last layer.
        l2: L2 factor of the last layer's kernel; the backbone has no penalty.
        name: Name of the model.
        backbone: Its name in `keras.applications`.
        weights: None: random; "imagenet": downloaded by Keras; else a file of the backbone's weights without its last
            layers (`include_top=False`): .weights.h5, or the .h5 that Keras publishes.
        weights_sha256: SHA-256 of that file, so that the settings of a training identify its weights.
        input_size: Height and width in pixels that images are resized to (bilinear).

    Raises:
        InputError: The file of weights is missing, has another SHA-256, or is not of this backbone.
        PipelineError: The download of the weights failed.
        ValueError: The backbone is unknown, or takes no images of `input_size` or no file of weights.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"backbone is {backbone!r}, not one of {', '.join(BACKBONES)}")
    network = _build_backbone(backbone, weights, weights_sha256, input_size)
    images = keras.Input((None, None, 3), name="image")
    x = layers.Resizing(input_size, input_size, name="resize", dtype="float32")(images)
    x = network(preprocess(x, backbone))
    logits = small_logits(global_pooling(x), num_classes, dropout=dropout, l2=l2)
    return keras.Model(images, logits, name=name)


def preprocess(x: keras.KerasTensor, backbone: str) -> keras.KerasTensor:
    """Returns images (batch, height, width, 3), values 0 to 255, as a backbone expects them, float32."""
    if backbone in MINUS_1_TO_1:
        return layers.Rescaling(1 / 127.5, -1.0, name="scale", dtype="float32")(x)
    if backbone in IMAGENET_NORMALIZED:
        return imagenet_normalized(x)
    if backbone in BGR_CENTERED:
        return layers.Rescaling(1.0, [-103.939, -116.779, -123.68], name="scale", dtype="float32")(x[..., ::-1])
    return x


def _build_backbone(backbone: str, weights: str | None, sha256: str | None, size: int) -> keras.Model:
    """Returns the network up to its last feature maps, named "backbone", with its weights."""
    file = Path(weights) if weights not in (None, "imagenet") else None
    if file:
        _check(file, sha256)
    if file and backbone.startswith("EfficientNetB"):  # Keras adds layers to it only for "imagenet"
        raise ValueError(f"weights of {backbone} must be null or imagenet")
    arguments = {"include_top": False, "weights": None if file else weights, "input_shape": (size, size, 3)}
    try:
        network = getattr(keras.applications, backbone)(**arguments)
    except ValueError:
        raise  # `input_size` is too small
    except Exception as error:  # Keras raises a plain Exception where a download fails
        todo = "check the network, or let `weights` name a file"
        raise PipelineError(f"weights of {backbone}", f"download failed: {error}", todo) from None
    if file:
        _load(network, file)
    _fix_inference_mode(network)
    return keras.Model(network.inputs[0], network.outputs[0], name=BACKBONE)


def _load(network: keras.Model, file: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each layer that does not fit
            network.load_weights(file)
    except Exception as error:  # Keras raises whatever its parts raise
        what = f"does not hold the weights of {network.name} without its last layers ({error})"
        raise InputError(file, what, "name a file of this backbone") from None


def _fix_inference_mode(network: keras.Model) -> None:
    """Makes a network run in inference mode, whatever `training` is.

    Calling it with `training=False` is not enough: a functional model passes its own `training` on to all its layers.
    """
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False  # Keras then uses the running mean and variance
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0


def _check(file: Path, sha256: str | None) -> None:
    if not file.is_file():
        raise InputError(file, "not found", "put the backbone's weights there, or change `weights`")
    found = sha256_of(file)
    if sha256 is None:
        raise InputError(file, "no `weights_sha256` given", f"add it: the file's is {found}")
    if found != sha256:
        todo = "name the right file, or correct `weights_sha256`"
        raise InputError(file, f"its SHA-256 is {found}, not `weights_sha256`", todo)
