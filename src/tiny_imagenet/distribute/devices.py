"""The devices that TensorFlow computes on.

To be imported before TensorFlow and Keras: it sets environment variables for them, and keeps the user's settings of
Keras from changing the numbers.
"""

from __future__ import annotations

import os

# oneDNN is off by default on CPUs without AVX512-VNNI, and up to 1.7 times faster.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if "TF_CONFIG" in os.environ:  # after the loss of a worker, C++ code logs what the exception says
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from tiny_imagenet.core import keras_settings
from tiny_imagenet.core.tensorflow_import import first_import

with first_import():
    import keras
    import tensorflow as tf

    tf.config.list_physical_devices()

keras.src.backend.config._KERAS_DIR = keras_settings.home()  # where `weights: imagenet` is downloaded to

from tiny_imagenet.core.cpus import available_cpus
from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.distribute import cluster
from tiny_imagenet.distribute.tf_config import EXAMPLE, read_tf_config


def make_strategy(
    device: str, strategy: str = "auto", *, deterministic: bool = True, tf32: bool = False, alone: bool = False
) -> tf.distribute.Strategy:
    """Returns the strategy for the devices.

    Args:
        device: "cpu", "gpu" (an error without one), or "auto": all GPUs, or the CPU without one.
        strategy: "single": one device; "mirrored": all devices of this machine (GPUs, or else logical CPUs);
            "multi_worker": the devices of all workers in TF_CONFIG; "auto": the largest of these that is available.
        deterministic: Whether the same inputs give the same bits.
        tf32: Whether a GPU rounds the inputs of float32 products to TF32, which is faster. TensorFlow's own default is
            true.
        alone: Whether this process ignores TF_CONFIG and works without the other workers.

    Raises:
        InputError: TF_CONFIG is wrong, or missing where it is needed.
        PipelineError: A GPU was requested and there is none, or a worker did not start.
    """
    workers = None if alone or strategy in ("single", "mirrored") else read_tf_config()
    if strategy == "multi_worker" and not (workers or alone):
        raise InputError(
            "strategy", "multi_worker, and TF_CONFIG names no other worker", f"set TF_CONFIG as in {EXAMPLE}"
        )
    gpus = _visible_gpus(device)
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    if workers:
        return cluster.join(workers, gpus=bool(gpus))
    if strategy != "single" and len(gpus) > 1:
        return tf.distribute.MirroredStrategy()
    if strategy == "mirrored":
        return tf.distribute.MirroredStrategy(
            [each.name for each in tf.config.list_logical_devices("GPU" if gpus else "CPU")]
        )
    return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")


def _visible_gpus(device: str) -> list[tf.config.PhysicalDevice]:
    gpus: list[tf.config.PhysicalDevice] = tf.config.list_physical_devices("GPU")
    if device == "cpu" and gpus:
        tf.config.set_visible_devices([], "GPU")
        gpus = []
    if device == "gpu" and not gpus:
        raise PipelineError(
            "device", "a GPU was asked for and TensorFlow sees none", "set `device: auto` or install the `gpu` extra"
        )
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    return gpus


def device_name(strategy: tf.distribute.Strategy) -> str:
    """Returns a name of the devices: "CPU (2 cores)", "2 x NVIDIA H100", "2 workers x CPU (2 cores)"."""
    workers = cluster.worker_count(strategy)
    gpus, here = tf.config.get_visible_devices("GPU"), strategy.num_replicas_in_sync // workers
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    else:
        name = f"CPU ({available_cpus()} cores)"
    counts = ([f"{workers} workers"] if workers > 1 else []) + ([str(here)] if here > 1 else [])
    return " x ".join([*counts, name])
