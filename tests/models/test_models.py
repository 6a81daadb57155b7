from typing import Any

import keras
import numpy as np
import pytest
from tests.tiny_records import REPOSITORY

from tiny_imagenet import params
from tiny_imagenet.models import build_model

# An architecture a line: a new file in models/ needs one.
NUM_PARAMETERS = {  # of images of 64 x 64 pixels and 200 classes
    "fully_connected": 12_788_936,
    "logistic_regression": 2_457_800,
    "simple_cnn": 29_707_368,
    "vgg": 2_590_184,
}
DENSE = ["Dropout", "Dense", "Dropout", "Dense"]
LAYERS = {  # as params.yaml has them
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
    recipe = MODELS[name].recipe
    arguments = {"dropout": recipe.dropout, "l2": recipe.l2} | MODELS[name].arguments | changes
    return build_model(
        MODELS[name].architecture, image_size=image_size, num_classes=num_classes, seed=seed, **arguments
    )


@pytest.fixture(scope="module", params=list(MODELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> keras.Model:
    return build(name)


def weighted(model: keras.Model) -> list[keras.Layer]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)]


def test_every_architecture_has_its_line() -> None:
    assert params.architectures() == sorted(NUM_PARAMETERS)


def test_number_of_parameters(model: keras.Model) -> None:
    assert model.count_params() == NUM_PARAMETERS[model.name]


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


def test_grey_levels_in_logits_out(name: str) -> None:
    """The scale to 0..1 is the model's own: the first weighted layer sees images / 255; logits are not normalised."""
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
