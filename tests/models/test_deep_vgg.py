from typing import Any

import keras
import pytest

from tiny_imagenet.training.model import build_model


def build(**arguments: Any) -> keras.Model:
    return build_model(
        "deep_vgg", **{"image_size": 64, "num_classes": 5, "dropout": 0.0, "l2": 0.0, "seed": 1} | arguments
    )


def kinds(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def test_blocks_of_convolutions_then_a_dense_head() -> None:
    convolution = ["Conv2D", "BatchNormalization", "Activation"]
    block = [*convolution, *convolution, "MaxPooling2D"]
    head = ["GlobalAveragePooling2D", "Dropout", "Dense", "Dropout", "Dense"]
    model = build(dropout=0.2)
    assert kinds(model) == ["InputLayer", "Rescaling", *block * 4, *head]
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert {(layer.kernel_size, layer.padding) for layer in convolutions} == {((3, 3), "same")}


def test_arguments_reach_the_architecture() -> None:
    model = build(filters=[4, 6], convolutions=[1, 3], input_pooling=2, hidden_units=None, activation="gelu")
    assert [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)] == [4, 6, 6, 6]
    assert kinds(model)[:3] == ["InputLayer", "AveragePooling2D", "Rescaling"]
    assert kinds(model).count("Dense") == 1
    activations = {layer.activation for layer in model.layers if isinstance(layer, keras.layers.Activation)}
    assert activations == {keras.activations.gelu}


def test_lists_of_unequal_length_are_named() -> None:
    with pytest.raises(ValueError, match="filters has 4 blocks, convolutions 1"):
        build(convolutions=[2])
