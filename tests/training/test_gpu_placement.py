"""Every recipe's step on a GPU, by the kernel registry of TensorFlow's wheel: needs no GPU."""

from typing import Any

import pytest
import tensorflow as tf
from benchmarks.gpu.placement import Placement, place
from benchmarks.gpu.trainers import digits_split, make_strategy, make_trainer, model_settings, trace_loop

DIGITS = digits_split()
MODELS = ("logistic_regression", "fully_connected", "simple_cnn", "vgg", "minutes", "hour", "pretrained")
EVERYTHING: dict[str, Any] = {
    "dropout": 0.3,
    "augmentation": {"trivial_augment": True, "random_erasing": 0.5, "mixup": 1.0, "cutmix": 1.0, "shift_pixels": 2},
}


@pytest.fixture(autouse=True)
def a_gpu_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step is traced for a GPU; it is not run."""
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind=None: ["GPU"])


def placed(model: str, changes: dict[str, Any] | None = None) -> Placement:
    settings = model_settings(model, changes, tiny=True)
    return place(trace_loop(make_trainer(settings, make_strategy(settings, "cpu", deterministic=True), DIGITS, 10)))


def problems(found: Placement) -> list[str]:
    return [str(each) for each in found.findings if each.matters]


@pytest.mark.parametrize("model", MODELS)
def test_a_step_runs_on_a_gpu_without_the_host(model: str) -> None:
    found = placed(model)
    assert found.operations > 50
    assert problems(found) == []


def test_every_augmentation_runs_on_a_gpu_without_the_host() -> None:
    assert problems(placed("vgg", EVERYTHING)) == []


def test_with_xla_a_step_is_one_program_with_its_optimizer() -> None:
    found = placed("gpu")
    assert problems(found) == []
    assert found.compiled == 1
    assert found.operations < 30


def looped(body: Any, start: tf.Tensor) -> Placement:
    @tf.function
    def loop(value: tf.Tensor) -> tf.Tensor:
        for _ in tf.range(3):
            value = body(value)
        return value

    return place(loop.get_concrete_function(start))


def test_what_leaves_the_gpu_is_found() -> None:
    numbers = tf.zeros(100)

    def sliced_as_int32(value: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.tile(tf.cast(value, tf.int32)[:50], [2]), tf.float32)

    def largest(value: tf.Tensor) -> tf.Tensor:
        return value + tf.cast(tf.argmax(tf.cast(value, tf.int64), output_type=tf.int32), tf.float32)

    def sliced_as_uint8(value: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.tile(tf.slice(tf.cast(value, tf.uint8), [0], [50]), [2]), tf.float32)

    assert any(each.startswith("to host: StridedSlice") for each in problems(looped(sliced_as_int32, numbers)))
    assert any(each.startswith("no GPU kernel: ArgMax") for each in problems(looped(largest, numbers)))
    assert any(each.startswith("no GPU kernel: Slice") for each in problems(looped(sliced_as_uint8, numbers)))
    assert problems(looped(lambda value: value * 2.0, numbers)) == []
