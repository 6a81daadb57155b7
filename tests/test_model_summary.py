import json

import keras
import pytest
from keras import layers

from tiny_imagenet.model_summary import summarize_model
from tiny_imagenet.models import build_model


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
        ("conv", "Conv2D", [3, 2, 5], 3 * 3 * 3 * 5 + 5, 3 * 3 * 3 * 5 * 3 * 2, "5 x 3x3, relu"),
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
def test_multiply_accumulates_of_the_reports_models(architecture: str, macs: int) -> None:
    model = build_model(architecture, image_size=64, num_classes=200, dropout=0.0, l2=0.0, seed=1)
    assert summarize_model(model)["macs_per_image"] == macs
