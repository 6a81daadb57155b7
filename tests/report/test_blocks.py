"""Layers folded into boxes."""

from __future__ import annotations

from tiny_imagenet.report.blocks import fold_layers
from tiny_imagenet.report.results import Layer


def layer(name: str, kind: str, details: str = "", count: int = 0, shape: int = 8) -> Layer:
    return Layer(name=name, type=kind, details=details, output_shape=(shape,), num_parameters=count)


def block(name: str, stride: str = "") -> list[Layer]:
    shape = 4 if stride else 8
    return [
        layer(f"{name}_conv1_pad", "ZeroPadding2D"),
        layer(f"{name}_conv1", "Conv2D", f"64 x 3x3{stride}", 10, shape),
        layer(f"{name}_shortcut", "Conv2D", f"64 x 1x1{stride}", 3, shape),
        layer(f"{name}_conv2", "Conv2D", "64 x 3x3", 10, shape),
        layer(f"{name}_add", "Add", "", 0, shape),
        layer(f"{name}_relu", "Activation", "relu", 0, shape),
    ]


def shown(layers: list[Layer]) -> list[tuple[str, str, int, int]]:
    return [(box.type, box.details, box.num_parameters, box.repeats) for box in fold_layers(layers)]


def test_norms_and_activations_join_the_layer_before_them() -> None:
    layers = [
        layer("image", "InputLayer"),
        layer("conv", "Conv2D", "32 x 3x3", 100),
        layer("norm", "BatchNormalization", "", 8),
        layer("relu", "Activation", "relu"),
        layer("dense", "Dense", "10, linear", 50),
    ]
    assert shown(layers) == [("Conv2D", "32 x 3x3, norm, relu", 108, 1), ("Dense", "10, linear", 50, 1)]


def test_a_residual_block_is_one_box_and_equal_blocks_are_one() -> None:
    layers = [layer("stem", "Conv2D", "64 x 3x3", 5), *block("a1"), *block("a2"), *block("b1", ", stride 2")]
    assert shown(layers) == [
        ("Conv2D", "64 x 3x3", 5, 1),
        ("Residual", "2 of 64 x 3x3", 46, 2),
        ("Residual", "2 of 64 x 3x3, stride 2", 23, 1),
    ]
    assert fold_layers(layers)[-1].output_shape == (4,)


def test_layers_stay_unchanged_and_other_sums_are_boxes() -> None:
    layers = [layer("x", "Dense", "3, linear", 7), layer("sum", "Add")]
    fold_layers([*layers, layer("relu", "Activation", "relu")])
    assert layers[1].details == ""
    assert [box[0] for box in shown(layers)] == ["Dense", "Add"]
