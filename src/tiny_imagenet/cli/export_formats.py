"""The file formats that a model can be exported to: a writer and a reader of each, compared with the model and timed.

TensorFlow contains the converter and the interpreter of TFLite; those of ONNX are the packages of the extra `onnx`.
"""

from __future__ import annotations

import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tiny_imagenet.core.errors import PipelineError, first_line
from tiny_imagenet.core.process import silence_stderr
from tiny_imagenet.scoring.metrics import log_softmax

if TYPE_CHECKING:
    import keras  # elsewhere imported inside functions: listing the formats must not take seconds

BATCH_SIZE = 32
WARMUP_ROUNDS = 3
ROUNDS = 30  # timed, after the warm-up

Predict = Callable[[np.ndarray], np.ndarray]  # float32 (images, size, size, 3), 0 to 255, to logits (images, classes)


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        file: The name of its file or folder.
        write: Writes it.
        open: Opens it.
        packages: Modules that it needs beside those of this project.
    """

    file: str
    write: Callable[[keras.Model, Path, int], None]
    open: Callable[[Path], Predict]
    packages: tuple[str, ...] = ()

    @property
    def is_installed(self) -> bool:
        """Whether its packages are there."""
        return all(find_spec(name) for name in self.packages)


@dataclass(frozen=True)
class Measurement:
    """A file's size, speed and accuracy.

    Attributes:
        file: Its name.
        num_bytes: Its size; of a folder, that of all its files.
        one_image_seconds: Median time of a batch of one image.
        batch_seconds: Median time of a batch of BATCH_SIZE images.
        difference: The largest difference of a probability to the model's.
    """

    file: str
    num_bytes: int
    one_image_seconds: float
    batch_seconds: float
    difference: float


def as_float32(model: keras.Model) -> keras.Model:
    """Returns the model itself if it computes in float32, else a float32 copy with the same weights."""
    import keras

    if all(layer.compute_dtype == "float32" for layer in model.layers):
        return model

    def convert(layer: keras.Layer) -> keras.Layer:
        return type(layer).from_config(layer.get_config() | {"dtype": "float32"})

    clone = keras.models.clone_model(model, clone_function=convert, recursive=True)
    clone.set_weights(model.get_weights())
    return clone


def measure(form: Format, folder: Path, images: np.ndarray, probabilities: np.ndarray) -> Measurement:
    """Opens an exported file, compares its predictions with the model's and times them.

    Args:
        form: The format.
        folder: The folder that it was written to.
        images: uint8 (images, size, size, 3); the first BATCH_SIZE are timed.
        probabilities: The model's own predictions, (images, classes).
    """
    path = folder / form.file
    predict = form.open(path)
    batch = images[:BATCH_SIZE].astype(np.float32)
    difference = np.abs(np.exp(log_softmax(predict(images.astype(np.float32)))) - probabilities).max()
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    num_bytes = sum(each.stat().st_size for each in files)
    one, many = (_seconds(predict, each) for each in (batch[:1], batch))
    return Measurement(form.file, num_bytes, one, many, float(difference))


def _seconds(predict: Predict, images: np.ndarray) -> float:
    times = []
    for _ in range(WARMUP_ROUNDS + ROUNDS):
        started = time.perf_counter()
        predict(images)
        times.append(time.perf_counter() - started)
    return statistics.median(times[WARMUP_ROUNDS:])


def _write_keras(model: keras.Model, path: Path, image_size: int) -> None:
    model.save(path)


def _open_keras(path: Path) -> Predict:
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(path, compile=False)
    call = tf.function(lambda images: model(images, training=False), reduce_retracing=True, autograph=False)
    return lambda images: call(tf.constant(images)).numpy()


def _write_saved_model(model: keras.Model, path: Path, image_size: int) -> None:
    model.export(path, format="tf_saved_model", verbose=False, input_signature=_signature(image_size))


def _open_saved_model(path: Path) -> Predict:
    import tensorflow as tf

    model = tf.saved_model.load(str(path))
    return lambda images: model.serve(tf.constant(images)).numpy()


def _write_tflite(model: keras.Model, path: Path, image_size: int) -> None:
    import tensorflow as tf

    builtin = {
        "supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]
    }  # other operations would need TensorFlow beside the runtime
    signature = _signature(image_size)
    try:
        with silence_stderr():
            model.export(path, format="litert", verbose=False, input_signature=signature, target_spec=builtin)
    except Exception as error:  # the converter raises its own errors, Keras' and TensorFlow's
        what = f"cannot be converted ({first_line(error)})"
        raise PipelineError(path.name, what, "leave tflite out with --format") from None


def _open_tflite(path: Path) -> Predict:
    import tensorflow as tf

    with warnings.catch_warnings(), silence_stderr():
        # TensorFlow announces the interpreter's move to the package ai-edge-litert, which would be one more to install.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = tf.lite.Interpreter(str(path), num_threads=os.cpu_count())
        interpreter.allocate_tensors()
    run = interpreter.get_signature_runner()
    return lambda images: run(image=images)["output_0"]


def _write_onnx(model: keras.Model, path: Path, image_size: int) -> None:
    try:
        with silence_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of Keras' converter, about NumPy
            model.export(path, format="onnx", verbose=False, input_signature=_signature(image_size))
    except Exception as error:  # the converter raises its own errors, Keras' and TensorFlow's
        what = f"cannot be converted ({first_line(error)})"
        raise PipelineError(path.name, what, "leave onnx out with --format") from None


def _open_onnx(path: Path) -> Predict:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    return lambda images: np.asarray(session.run(None, {image.name: images})[0])


def _signature(image_size: int) -> list[keras.InputSpec]:
    """Returns the signature of a batch of any number of images of one size, even if the model takes any size."""
    import keras

    return [keras.InputSpec(dtype="float32", shape=(None, image_size, image_size, 3), name="image")]


FORMATS = {
    "keras": Format("model.keras", _write_keras, _open_keras),
    "saved_model": Format("saved_model", _write_saved_model, _open_saved_model),
    "tflite": Format("model.tflite", _write_tflite, _open_tflite),
    "onnx": Format("model.onnx", _write_onnx, _open_onnx, ("tf2onnx", "onnxruntime")),
}
