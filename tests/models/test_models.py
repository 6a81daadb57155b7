import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests.support.tiny_records import REPOSITORY

from tiny_imagenet.core import params
from tiny_imagenet.training.model import build_model

# One line for each architecture, for images of 64 x 64 pixels and 200 classes: a new file in models/ needs one.
NUM_PARAMETERS = {
    "deep_vgg": 5_421_448,
    "fully_connected": 12_788_936,
    "logistic_regression": 2_457_800,
    "pretrained": 2_514_184,
    "resnet": 11_281_032,
    "simple_cnn": 29_707_368,
    "vgg": 2_590_184,
}
SMALL = {  # arguments that make the architectures for images of any size quick to build
    "deep_vgg": {"filters": [8, 16], "convolutions": [1, 2], "hidden_units": 32},
    "pretrained": {"input_size": 32},
    "resnet": {"widths": [8, 16], "depths": [1, 2]},
}
DENSE = ["Dropout", "Dense", "Dropout", "Dense"]
LAYERS = {  # of the report's models, as in params.yaml
    "fully_connected": ["Flatten", "Dense", "Dense"],
    "logistic_regression": ["Flatten", "Dense"],
    "simple_cnn": ["Conv2D", "Conv2D", "MaxPooling2D", "Flatten", *DENSE],
    "vgg": [*(["Conv2D", "Conv2D", "MaxPooling2D"] * 3), "Flatten", *DENSE],
}
WIDTHS = {  # filters of the convolutions, units of the dense layers
    "fully_connected": [1024, 200],
    "logistic_regression": [200],
    "simple_cnn": [32, 32, 1024, 200],
    "vgg": [32, 32, 64, 64, 128, 128, 1024, 200],
}
MODELS = params.load_params(REPOSITORY / "params.yaml").models


def build(name: str, seed: int = 1, image_size: int = 64, num_classes: int = 200, **changes: Any) -> keras.Model:
    settings = MODELS[name]
    arguments: dict[str, Any] = {"dropout": settings.dropout, "l2": settings.l2} | settings.arguments | changes
    return build_model(settings.architecture, image_size=image_size, num_classes=num_classes, seed=seed, **arguments)


@pytest.fixture(scope="module", params=list(LAYERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> keras.Model:
    return build(name)


def weighted(model: keras.Model) -> list[keras.Layer]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)]


def test_every_architecture_has_a_known_number_of_parameters() -> None:
    assert params.architectures() == sorted(NUM_PARAMETERS)


@pytest.mark.parametrize("architecture", NUM_PARAMETERS)
def test_number_of_parameters(architecture: str) -> None:
    model = build_model(architecture, image_size=64, num_classes=200, dropout=0.0, l2=0.0, seed=1)
    assert model.count_params() == NUM_PARAMETERS[architecture]


def test_layers_and_widths(name: str, model: keras.Model) -> None:
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Rescaling", *LAYERS[name]]
    widths = [getattr(layer, "filters", getattr(layer, "units", None)) for layer in weighted(model)]
    assert widths == WIDTHS[name]


def test_activations_padding_and_pooling(model: keras.Model) -> None:
    *hidden, logits = weighted(model)
    assert {layer.activation for layer in hidden} <= {keras.activations.relu}
    assert logits.activation is keras.activations.linear
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            assert (layer.kernel_size, layer.strides, layer.padding) == ((3, 3), (1, 1), "valid")
        if isinstance(layer, keras.layers.MaxPooling2D):
            assert (layer.pool_size, layer.strides, layer.padding) == ((2, 2), (2, 2), "valid")
        if isinstance(layer, keras.layers.Dropout):
            assert layer.rate == 0.2


def test_kernels_are_glorot_uniform_and_biases_zero(model: keras.Model) -> None:
    for layer in weighted(model):
        assert isinstance(layer.kernel_initializer, keras.initializers.GlorotUniform)
        kernel = np.asarray(layer.kernel)
        *window, fan_in, fan_out = kernel.shape
        limit = np.sqrt(6 / ((fan_in + fan_out) * np.prod(window)))
        assert 0.95 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)
        assert abs(kernel.mean()) < 5 * limit / np.sqrt(3 * kernel.size)
        assert not np.asarray(layer.bias).any()


def test_the_penalty_is_on_kernels_only(name: str, model: keras.Model) -> None:
    factor = {"simple_cnn": 0.0005, "vgg": 0.0005}.get(name, 0.0)
    for layer in weighted(model):
        assert layer.bias_regularizer is None
        assert layer.activity_regularizer is None
        assert (float(layer.kernel_regularizer.l2) if layer.kernel_regularizer else 0.0) == pytest.approx(factor)
        layer.bias.assign(np.ones(layer.bias.shape))
    expected = factor * sum(float((np.asarray(layer.kernel, np.float64) ** 2).sum()) for layer in weighted(model))
    assert sum(float(loss) for loss in model.losses) == pytest.approx(expected, rel=1e-4)
    for layer in weighted(model):
        layer.bias.assign(np.zeros(layer.bias.shape))


def test_images_are_scaled_and_logits_are_not_normalized(name: str) -> None:
    """The model scales images to 0..1 itself: its first weighted layer gets images / 255."""
    model = build(name, image_size=48, num_classes=7, dropout=0.0)
    images = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 3)).astype(np.float32)
    scaled = keras.Model(model.input, model.layers[1].output)(images)
    assert np.allclose(scaled, images / 255, atol=1e-6)
    logits = np.asarray(model(images))
    assert logits.shape == (4, 7)
    assert logits.dtype == np.float32
    assert not np.allclose(logits.sum(axis=1), 1)
    assert (logits < 0).any()


def test_the_weights_are_a_function_of_the_seed(name: str) -> None:
    one, same, other = (build(name, seed, image_size=48, num_classes=5).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True) if a.ndim > 1)


def test_two_layers_of_a_shape_start_differently() -> None:
    model = build("vgg", filters=[4, 4], image_size=32)
    kernels = [np.asarray(layer.kernel) for layer in weighted(model)[1:4]]
    assert not np.array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[1], kernels[2])


def test_arguments_reach_the_architecture() -> None:
    model = build("vgg", filters=[4, 5], hidden_units=6, image_size=32, num_classes=3)
    assert [getattr(layer, "filters", getattr(layer, "units", None)) for layer in weighted(model)] == [4, 4, 5, 5, 6, 3]


def build_small(architecture: str, **changes: Any) -> keras.Model:
    arguments = {"image_size": 64, "num_classes": 200, "dropout": 0.0, "l2": 0.0, "seed": 1, **SMALL[architecture]}
    return build_model(architecture, **arguments | changes)


def some_images(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(size).integers(0, 256, (count, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize("architecture", SMALL)
def test_images_of_any_size(architecture: str) -> None:
    model = build_small(architecture)
    assert model.input_shape == (None, None, None, 3)
    for size in (64, 48, 33, 32):
        logits = np.asarray(model(some_images(2, size)))
        assert logits.shape == (2, 200)
        assert np.isfinite(logits).all()


@pytest.mark.parametrize("architecture", SMALL)
def test_the_initial_loss_is_that_of_equally_likely_classes(architecture: str) -> None:
    model = build_model(architecture, image_size=64, num_classes=200, dropout=0.0, l2=0.0, seed=1)
    logits = model(some_images(8, 64), training=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(np.arange(8) * 25, logits)
    assert float(loss) == pytest.approx(np.log(200), abs=0.2)


@pytest.mark.parametrize("architecture", SMALL)
def test_mixed_bfloat16_keeps_weights_and_logits_in_float32(architecture: str) -> None:
    reference = build_small(architecture, dropout=0.5)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_small(architecture, dropout=0.5)
    finally:
        keras.config.set_dtype_policy(before)
    inner = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    convolutions = [layer for each in (model, *inner) for layer in weighted(each)[:-1]]
    assert {layer.compute_dtype for layer in convolutions} == {"bfloat16"}
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    images = some_images(4, 32)
    logits = model(images)
    assert logits.dtype == "float32"
    assert np.allclose(logits, reference(images), atol=0.02)


@pytest.mark.parametrize("architecture", ["deep_vgg", "resnet"])
def test_no_bias_before_a_normalization_and_the_penalty_on_kernels_only(architecture: str) -> None:
    model = build_small(architecture, l2=0.01, batch_norm_momentum=0.7)
    assert sum(layer.use_bias for layer in model.layers if isinstance(layer, keras.layers.Conv2D)) == 0
    kernels = [np.asarray(layer.kernel, np.float64) for layer in weighted(model)]
    expected = 0.01 * sum((kernel**2).sum() for kernel in kernels)
    assert sum(float(loss) for loss in model.losses) == pytest.approx(expected, rel=1e-4)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {(layer.momentum, layer.epsilon) for layer in norms} == {(0.7, 1e-5)}


@pytest.mark.parametrize("architecture", SMALL)
def test_weights_of_any_size_models_are_a_function_of_the_seed(architecture: str) -> None:
    one, same, other = (build_small(architecture, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True) if a.ndim > 1)


def test_saved_models_are_plain_keras(tmp_path: Path) -> None:
    """A process without this package loads them in safe mode and gets the same logits."""
    images = some_images(2, 48)
    np.save(tmp_path / "images.npy", images)
    for architecture in SMALL:
        build_small(architecture).save(tmp_path / f"{architecture}.keras")
    script = (
        "import sys, keras, numpy as np\n"
        "images = np.load('images.npy')\n"
        "for name in sys.argv[1:]:\n"
        "    model = keras.saving.load_model(name + '.keras', compile=False, safe_mode=True)\n"
        "    np.save(name + '.npy', np.asarray(model(images)))\n"
        "assert not any(name.startswith('tiny_imagenet') for name in sys.modules)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", script, *SMALL], cwd=tmp_path, env=environment, check=True)
    for architecture in SMALL:
        logits = np.load(tmp_path / f"{architecture}.npy")
        assert np.allclose(logits, build_small(architecture)(images), atol=1e-5)
