from typing import Any

import keras
import numpy as np
import pytest

from tiny_imagenet.training.model import build_model


def build(**arguments: Any) -> keras.Model:
    small = {"image_size": 32, "num_classes": 5, "dropout": 0.0, "l2": 0.0, "seed": 1}
    return build_model("resnet", **small | {"widths": [4, 8, 16], "depths": [1, 2, 1]} | arguments)


def some_images(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype(np.float32)


def layers(model: keras.Model, kind: type) -> list[keras.Layer]:
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_the_defaults_are_resnet_18() -> None:
    model = build_model("resnet", image_size=64, num_classes=1000, dropout=0.0, l2=0.0, seed=1)
    trained = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    # torchvision's ResNet-18 has 11,689,512 with a stem of 7 x 7
    assert trained == 11_689_512 - 7 * 7 * 3 * 64 + 3 * 3 * 3 * 64
    main = [layer for layer in layers(model, keras.layers.Conv2D) if "shortcut" not in layer.name]
    assert len(main) + 1 == 18
    assert [layer.filters for layer in main] == [64] + [64] * 4 + [128] * 4 + [256] * 4 + [512] * 4
    assert len(layers(model, keras.layers.Conv2D)) - len(main) == 3


def test_each_channel_is_normalized_in_float32() -> None:
    model = build(input_pooling=2)
    images = some_images(2, 8)
    seen = keras.Model(model.input, model.get_layer("scale").output)(images)
    averaged = images.reshape(2, 4, 2, 4, 2, 3).mean(axis=(2, 4)) / 255
    assert np.allclose(seen, (averaged - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], atol=1e-5)
    assert model.get_layer("scale").compute_dtype == "float32"


def test_kernels_are_he_normal_by_fan_out() -> None:
    model = build(widths=[64, 128], depths=[1, 1])
    for name in ("stage1_block1_conv1", "stage2_block1_conv1"):
        kernel = np.asarray(model.get_layer(name).kernel)
        assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * kernel.shape[-1])), rel=0.02)
    one, two = (np.asarray(model.get_layer(f"stage1_block1_conv{i}").kernel) for i in (1, 2))
    assert not np.array_equal(one, two)


def test_a_block_starts_as_its_shortcut() -> None:
    """With a last gamma of zero, a block that keeps its shape returns its (rectified) input."""
    images = some_images(2, 16)
    for zero, equal in ((True, True), (False, False)):
        model = build(zero_init_residual=zero)
        before, after = (model.get_layer(f"stage2_block{i}_relu").output for i in (1, 2))
        x, y = keras.Model(model.input, [before, after])(images)
        assert np.allclose(x, y) == equal
    gammas = {layer.name: float(np.max(layer.gamma)) for layer in layers(build(), keras.layers.BatchNormalization)}
    assert {name for name, gamma in gammas.items() if gamma == 0} == {name for name in gammas if "conv2" in name}


def test_a_projection_only_where_the_size_changes() -> None:
    model = build()
    assert model.get_layer("stem").filters == 4  # that of the first stage
    assert model.get_layer("stage2_block1_shortcut").filters == 8
    assert model.get_layer("stage2_block1_shortcut").strides == (2, 2)
    assert "stage1_block1_shortcut" not in [layer.name for layer in model.layers]
    assert "stage2_block2_shortcut" not in [layer.name for layer in model.layers]


def test_a_strided_block_and_its_shortcut_are_centered_on_the_same_pixels() -> None:
    """Both keep the pixels with even coordinates: the 3 x 3 kernel is one at its center."""
    model = build(widths=[1, 1], depths=[1, 1])
    conv, shortcut = (model.get_layer(f"stage2_block1_{name}") for name in ("conv1", "shortcut"))
    center = np.zeros((3, 3, 1, 1), np.float32)
    center[1, 1] = 1
    conv.set_weights([center])
    shortcut.set_weights([np.ones((1, 1, 1, 1), np.float32)])
    entry = model.get_layer("stage1_block1_relu").output
    both = keras.Model(entry, [conv.output, shortcut.output])
    for size in (8, 7):
        x = np.random.default_rng(0).random((1, size, size, 1)).astype(np.float32)
        a, b = both(x)
        assert np.allclose(a, x[:, ::2, ::2])
        assert np.allclose(b, x[:, ::2, ::2])


def test_pooling_and_activation() -> None:
    assert isinstance(build().get_layer("pool"), keras.layers.GlobalAveragePooling2D)
    activations = {layer.activation for layer in layers(build(activation="silu"), keras.layers.Activation)}
    assert activations == {keras.activations.silu}
    assert [layer.rate for layer in layers(build(dropout=0.3), keras.layers.Dropout)] == [0.3]


def test_invalid_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="widths has 3 stages, depths 1"):
        build(depths=[1])
