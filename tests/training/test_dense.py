import keras
import numpy as np
import pytest
import tensorflow as tf

from tiny_imagenet.training import dense
from tiny_imagenet.training.dense import take_over_large_dense

INPUTS = np.random.default_rng(0).normal(0.0, 1.0, (6, 40)).astype(np.float32)


def make_model(dtype: str, *, use_bias: bool = True) -> keras.Model:
    inputs = keras.Input((40,))
    x = keras.layers.Dense(40, activation="tanh", dtype=dtype)(inputs)
    x = keras.layers.Dense(30, activation="relu", use_bias=use_bias, dtype=dtype, name="large")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, dtype="float32")(x))
    for seed, variable in enumerate(model.trainable_variables):
        variable.assign(np.random.default_rng(seed).normal(0.0, 0.2, variable.shape))
    return model


def train_once(model: keras.Model) -> list[np.ndarray]:
    @tf.function
    def outputs_and_gradients() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = model(INPUTS, training=True)
            loss = tf.reduce_sum(outputs**2)
        return [outputs, *tape.gradient(loss, [variable.value for variable in model.trainable_variables])]

    return [np.asarray(each) for each in outputs_and_gradients()]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 2e-2)])
def test_gradients_equal_keras_own(
    monkeypatch: pytest.MonkeyPatch, dtype: str, tolerance: float, use_bias: bool
) -> None:
    monkeypatch.setattr(dense, "LARGE", 1200)  # the middle layer's weights; the first has more, the last fewer
    expected = train_once(make_model(dtype, use_bias=use_bias))
    model = make_model(dtype, use_bias=use_bias)
    take_over_large_dense(model)
    assert ["call" in vars(layer) for layer in model.layers] == [False, True, True, False]
    for mine, theirs in zip(train_once(model), expected, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance * np.abs(theirs).max())


def test_the_saved_model_is_keras_own(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(dense, "LARGE", 1)
    model = make_model("float32")
    take_over_large_dense(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(INPUTS), model(INPUTS), rtol=1e-6)
