import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.files import sha256_of
from tiny_imagenet.models.pretrained import BACKBONES, preprocess
from tiny_imagenet.training.model import build_model, head_variables
from tiny_imagenet.training.model_summary import summarize_model

ONE_OF_EACH_FAMILY = [
    *("ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionResNetV2", "InceptionV3"),
    *("MobileNet", "MobileNetV2", "MobileNetV3Small", "NASNetMobile", "ResNet50", "ResNet50V2", "VGG16", "VGG19"),
    "Xception",
]


def build(**arguments: Any) -> keras.Model:
    defaults = {"image_size": 32, "num_classes": 10, "dropout": 0.0, "l2": 0.0, "seed": 1, "input_size": 32}
    return build_model("pretrained", **defaults | arguments)


def backbone_weights(model: keras.Model) -> list[np.ndarray]:
    return [np.array(weights) for weights in model.get_layer("backbone").get_weights()]


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """300 handwritten digits, 32 x 32, color, values 0 to 255."""
    data = load_digits()
    images = np.kron(data.images[:300] * 15.9375, np.ones((1, 4, 4)))
    return np.repeat(images[..., None], 3, axis=-1).astype(np.float32), data.target[:300]


@pytest.fixture(scope="module")
def weights(digits: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a backbone with random kernels, whose batch normalization statistics are of the digits."""
    network = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(32, 32, 3))
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(digits[0] / 127.5 - 1, training=True)
    file = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    network.save_weights(file)
    return file


def test_every_backbone_of_keras_is_supported() -> None:
    assert sorted(BACKBONES) == sorted(name for name in dir(keras.applications) if name[0].isupper())


@pytest.mark.parametrize("backbone", BACKBONES)
def test_images_are_preprocessed_as_the_backbone_expects(backbone: str) -> None:
    """As Keras' own `preprocess_input`; where that does nothing, the network begins with such layers."""
    module = sys.modules[getattr(keras.applications, backbone).__module__]
    images = np.random.default_rng(0).uniform(0, 255, (2, 5, 4, 3)).astype(np.float32)
    image = keras.Input((None, None, 3))
    ours = (
        keras.Model(image, preprocess(image, backbone))(images) if preprocess(image, backbone) is not image else images
    )
    np.testing.assert_allclose(ours, module.preprocess_input(images.copy()), rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("backbone", ["MobileNetV3Small", "EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny"])
def test_some_backbones_normalize_their_inputs(backbone: str) -> None:
    network = build(backbone=backbone).get_layer("backbone")
    kinds = (keras.layers.Rescaling, keras.layers.Normalization, keras.Sequential)
    assert isinstance(network.layers[1], kinds)


def test_images_are_resized_to_the_input_size() -> None:
    model = build(input_size=48)
    assert model.get_layer("backbone").input_shape == (None, 48, 48, 3)
    images = np.random.default_rng(0).integers(0, 256, (2, 24, 24, 3)).astype(np.float32)
    seen = keras.Model(model.input, model.get_layer("scale").output)(images)
    np.testing.assert_allclose(seen, tf.image.resize(images, (48, 48)) / 127.5 - 1, atol=1e-5)


def test_head_variables_are_those_outside_the_backbone() -> None:
    model = build()
    assert [variable.path for variable in head_variables(model)] == ["logits/kernel", "logits/bias"]
    assert len(model.trainable_variables) > 2
    other = build_model("resnet", image_size=32, num_classes=3, dropout=0.0, l2=0.0, seed=1, widths=[4], depths=[1])
    assert head_variables(other) == other.trainable_variables


@pytest.mark.parametrize("backbone", ["MobileNetV2", "EfficientNetB0"])
def test_the_backbone_runs_in_inference_mode_while_training(
    backbone: str, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    """Also after saving and loading: no dropout, and no running mean moves."""
    model = build(backbone=backbone)
    before = backbone_weights(model)
    loaded = keras.Model.from_config(model.get_config())
    loaded.set_weights(model.get_weights())
    for each in (model, loaded):
        training, again, inference = (np.asarray(each(digits[0][:8], training=t)) for t in (True, True, False))
        assert np.array_equal(training, again)
        np.testing.assert_allclose(training, inference, atol=1e-6)
    assert all(np.array_equal(a, b) for a, b in zip(before, backbone_weights(model), strict=True))


def train(
    model: keras.Model, variables: list[keras.Variable], digits: tuple[np.ndarray, np.ndarray], steps: int
) -> list[float]:
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(digits[0], training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(digits[1], logits))
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return [float(step()) for _ in range(steps)]


def test_a_new_head_learns_on_a_frozen_backbone(weights: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    model = build(weights=str(weights), weights_sha256=sha256_of(weights))
    before = backbone_weights(model)
    losses = train(model, head_variables(model), digits, steps=40)
    assert losses[0] == pytest.approx(np.log(10), abs=0.2)
    assert losses[-1] < 1.0
    assert all(np.array_equal(a, b) for a, b in zip(before, backbone_weights(model), strict=True))


def test_fine_tuning_moves_the_kernels_of_the_backbone_and_not_its_normalizations(
    weights: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    model = build(weights=str(weights), weights_sha256=sha256_of(weights))
    network = model.get_layer("backbone")
    before = {variable.path: np.array(variable) for variable in network.variables}
    train(model, model.trainable_variables, digits, steps=2)
    moved = {variable.path for variable in network.variables if not np.array_equal(before[variable.path], variable)}
    assert moved == {path for path in before if path.endswith("kernel")}


def test_weights_are_read_from_a_file(weights: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    model = build(weights=str(weights), weights_sha256=sha256_of(weights), seed=5)
    network = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(32, 32, 3))
    network.load_weights(weights)
    scaled = digits[0][:4] / 127.5 - 1
    assert np.array_equal(model.get_layer("backbone")(scaled), network(scaled))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "nowhere.h5"}, "nowhere.h5: not found; put the backbone's weights there"),
        ({"weights_sha256": None}, "no `weights_sha256` given; add it: the file's is [0-9a-f]{64}"),
        (
            {"weights_sha256": "0" * 64},
            "its SHA-256 is [0-9a-f]{64}, not `weights_sha256`; name the right file, or correct `weights_sha256`",
        ),
        ({"backbone": "MobileNet"}, r"does not hold the weights of mobilenet_1\.00_32 without its last layers"),
    ],
)
@pytest.mark.filterwarnings("error::UserWarning")
def test_a_wrong_file_of_weights_is_a_one_line_error(weights: Path, arguments: dict[str, Any], message: str) -> None:
    right = {"weights": str(weights), "weights_sha256": sha256_of(weights)}
    with pytest.raises(InputError, match=message) as caught:
        build(**right | arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "MobileNetV9"}, "backbone is 'MobileNetV9', not one of MobileNet, "),
        ({"backbone": "ResNet50", "input_size": 8}, "at least 32x32"),
    ],
)
def test_invalid_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_an_efficientnet_takes_no_file_of_weights(weights: Path) -> None:
    with pytest.raises(ValueError, match="weights of EfficientNetB0 must be null or imagenet"):
        build(backbone="EfficientNetB0", weights=str(weights), weights_sha256=sha256_of(weights))


def test_a_failed_download_is_a_one_line_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(**arguments: Any) -> None:
        assert arguments["weights"] == "imagenet"
        raise Exception("URL fetch failure on https://...: None -- no route\nto host")

    monkeypatch.setattr(keras.applications, "MobileNetV2", download)
    with pytest.raises(
        PipelineError,
        match=r"weights of MobileNetV2: download failed: .*no route to host; check the network, or .* name a file",
    ):
        build(weights="imagenet")


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ONE_OF_EACH_FAMILY)
def test_every_family_saves_as_plain_keras(backbone: str, tmp_path: Path) -> None:
    model = build(backbone=backbone, input_size=96)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    model.save(tmp_path / "model.keras")
    script = (
        "import keras, numpy as np\n"
        "model = keras.saving.load_model('model.keras', compile=False, safe_mode=True)\n"
        "np.save('logits.npy', np.asarray(model(np.load('images.npy'))))"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env={}, check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), model(images), rtol=1e-4, atol=1e-4)
    assert summarize_model(model, 64)["macs_per_image"] > 1e7
