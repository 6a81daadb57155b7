"""The model summary: layers, shapes, parameters and multiply-accumulates, against counts by hand."""

import json

import keras
import pytest
from keras import layers

from tiny_imagenet.training.model import build_model
from tiny_imagenet.training.model_summary import summarize_model


def test_each_layer_is_described_and_counted() -> None:
    image = keras.Input((8, 6, 3), name="image")
    x = layers.Conv2D(5, (3, 3), strides=2, activation="relu", name="conv")(image)  # to 3 x 2
    x = layers.MaxPooling2D((2, 2), name="pool")(x)
    x = layers.Dropout(0.25, name="drop")(layers.Flatten(name="flat")(x))
    summary = summarize_model(keras.Model(image, layers.Dense(4, name="dense")(x), name="m"))
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["name"], summary["input_shape"]) == ("m", [8, 6, 3])
    rows = [
        (row["name"], row["type"], row["output_shape"], row["num_parameters"], row["macs"], row["details"])
        for row in summary["layers"]
    ]
    assert rows == [
        ("image", "InputLayer", [8, 6, 3], 0, 0, ""),
        ("conv", "Conv2D", [3, 2, 5], 3 * 3 * 3 * 5 + 5, 3 * 3 * 3 * 5 * 3 * 2, "5 x 3x3, stride 2, relu"),
        ("pool", "MaxPooling2D", [1, 1, 5], 0, 0, "2x2"),
        ("flat", "Flatten", [5], 0, 0, ""),
        ("drop", "Dropout", [5], 0, 0, "0.25"),
        ("dense", "Dense", [4], 24, 20, "4, linear"),
    ]
    assert summary["macs_per_image"] == 810 + 20
    assert summary["num_parameters"] == 140 + 24


@pytest.mark.parametrize(
    ("architecture", "macs"),
    [
        # by hand: 62 x 62 x 27 x 32 + 60 x 60 x 288 x 32 + 30 x 30 x 32 x 1024 + 1024 x 200
        ("simple_cnn", 3_321_216 + 33_177_600 + 29_491_200 + 204_800),
        ("logistic_regression", 12_288 * 200),
    ],
)
def test_macs_of_the_reports_models(architecture: str, macs: int) -> None:
    model = build_model(architecture, image_size=64, num_classes=200, dropout=0.0, l2=0.0, seed=1)
    assert summarize_model(model)["macs_per_image"] == macs


def resnet_macs(image_size: int) -> int:
    """Returns the MACs of ResNet-18 with a 3 x 3 stem, counted by hand."""
    stem_and_first = image_size**2 * 9 * (3 * 64 + 4 * 64 * 64)
    rest = 0
    for stage, width in ((1, 128), (2, 256), (3, 512)):
        rest += (image_size // 2**stage) ** 2 * (9 * width * width // 2 + 3 * 9 * width * width + width * width // 2)
    return stem_and_first + rest + 512 * 200


def test_macs_depend_on_the_image_size() -> None:
    model = build_model("resnet", image_size=64, num_classes=200, dropout=0.0, l2=0.0, seed=1)
    weights, config = model.get_weights(), model.get_config()
    for image_size in (64, 48, 32):
        summary = summarize_model(model, image_size)
        assert summary["macs_per_image"] == resnet_macs(image_size)
        assert summary["input_shape"] == [image_size, image_size, 3]
        assert [row["name"] for row in summary["layers"]] == [layer.name for layer in model.layers]
        assert json.loads(json.dumps(summary)) == summary
    assert resnet_macs(32) == 555_520_000  # published as 0.56 billion
    assert model.input_shape == (None, None, None, 3)
    assert model.get_config() == config
    assert len(model.get_weights()) == len(weights)


def test_a_nested_model_is_one_layer_with_the_macs_of_all_its_layers() -> None:
    inner_image = keras.Input((None, None, 3))
    x = layers.DepthwiseConv2D(3, strides=2, padding="same")(inner_image)  # 27 weights
    x = layers.Conv2D(5, 1)(x)
    x = layers.SeparableConv2D(7, 3, padding="same")(x)
    x = layers.Conv2D(6, 1)(layers.Add()([x, x]))
    inner = keras.Model(inner_image, layers.Dense(4)(x), name="backbone")
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(inner(layers.Resizing(8, 8)(image)))))
    summary = summarize_model(model, 20)
    row = next(row for row in summary["layers"] if row["name"] == "backbone")
    assert (row["type"], row["output_shape"], row["details"]) == ("Functional", [4, 4, 4], "7 layers")
    assert row["macs"] == 16 * (9 * 3 + 3 * 5 + 9 * 5 + 5 * 7 + 7 * 6 + 6 * 4)
    assert row["num_parameters"] == inner.count_params()
    assert summary["macs_per_image"] == row["macs"] + 4 * 4 * 4 * 2
