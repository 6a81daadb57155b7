import keras
import numpy as np
import pytest
import tensorflow as tf

from tiny_imagenet.scoring.predictor import make_predictor


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    images = keras.Input((4, 4, 3))
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images)))
    return keras.Model(images, keras.layers.Dense(3)(x))


@pytest.mark.parametrize("batch_size", [1, 4, 5, 10, 11, 100])
def test_every_image_is_predicted_once_in_order(model: keras.Model, batch_size: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), dtype=np.uint8)
    logits = make_predictor(model, batch_size)(images)
    kernel, bias = model.get_weights()  # and without dropout: it is not training
    expected = images.reshape(10, -1) / 255 @ kernel + bias
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_pixels_are_sliced_as_float32(model: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow has no kernel for GPUs that slices uint8."""
    sliced, original = [], tf.slice
    monkeypatch.setattr(tf, "slice", lambda input_, *rest: sliced.append(input_.dtype) or original(input_, *rest))
    make_predictor(model, 2)(np.zeros((2, 4, 4, 3), np.uint8))
    assert sliced == [tf.float32]


def test_predictions_use_the_current_weights(model: keras.Model) -> None:
    images = np.full((2, 4, 4, 3), 255, np.uint8)
    predict = make_predictor(model, 2)
    before = predict(images)
    kernel, bias = model.get_weights()
    model.set_weights([kernel, bias + 1])
    np.testing.assert_allclose(predict(images), before + 1, atol=1e-5)
    model.set_weights([kernel, bias])


def test_flip_tta_is_the_mean_over_the_image_and_its_mirror_image(model: keras.Model) -> None:
    images = np.random.default_rng(1).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    plain, averaged = make_predictor(model, 2), make_predictor(model, 2, flip_tta=True)
    expected = (plain(images) + plain(images[:, :, ::-1])) / 2
    np.testing.assert_allclose(averaged(images), expected, atol=1e-6)
    assert not np.allclose(plain(images), expected, atol=1e-3)


def test_the_callback_runs_before_each_batch_and_may_stop_the_prediction(model: keras.Model) -> None:
    calls = []
    predict = make_predictor(model, 2)
    predict(np.zeros((5, 4, 4, 3), np.uint8), lambda: calls.append(None))
    assert len(calls) == 3

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        predict(np.zeros((5, 4, 4, 3), np.uint8), stop)
