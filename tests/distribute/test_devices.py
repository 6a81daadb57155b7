"""Strategies by device and name, determinism, and what the import sets."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tiny_imagenet.distribute import devices  # isort: skip  (before TensorFlow)
import tensorflow as tf

from tiny_imagenet.core.errors import PipelineError

GPUS = tf.config.list_physical_devices("GPU")


def test_the_cpu_is_one_device_named_with_its_cores() -> None:
    strategy = devices.make_strategy("cpu")
    assert strategy.num_replicas_in_sync == 1
    assert "CPU" in strategy.extended.worker_devices[0].upper()
    assert re.fullmatch(r"CPU \(\d+ cores\)", devices.device_name(strategy))


@pytest.mark.skipif(bool(GPUS), reason="there is a GPU")
def test_a_missing_gpu_is_an_error() -> None:
    with pytest.raises(PipelineError, match="device: a GPU was asked for and TensorFlow sees none; set `device: auto`"):
        devices.make_strategy("gpu")


@pytest.mark.skipif(bool(GPUS), reason="there is a GPU")
def test_auto_falls_back_to_the_cpu() -> None:
    assert "CPU" in devices.device_name(devices.make_strategy("auto"))


def test_operations_are_deterministic() -> None:
    devices.make_strategy("cpu")
    tf.random.set_seed(None)
    with pytest.raises(RuntimeError, match="determinism"):  # random numbers without a seed are refused
        tf.random.uniform(())


@pytest.mark.parametrize("tf32", [True, False])
def test_tf32_is_off_unless_asked_for(tf32: bool) -> None:
    devices.make_strategy("cpu", tf32=tf32)
    assert tf.config.experimental.tensor_float_32_execution_enabled() == tf32
    devices.make_strategy("cpu")
    assert not tf.config.experimental.tensor_float_32_execution_enabled()


def test_the_import_sets_the_environment_and_prints_nothing() -> None:
    code = "from tiny_imagenet.distribute import devices; import os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    environment = clean | {"PYTHONPATH": str(Path(devices.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_mirrored_uses_all_devices_and_single_uses_one() -> None:
    code = """
from tiny_imagenet.distribute import devices
import tensorflow as tf

one = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [one, one])
for name in ("single", "auto", "mirrored"):
    strategy = devices.make_strategy("cpu", name)
    print(name, strategy.num_replicas_in_sync, devices.device_name(strategy))
"""
    environment = os.environ | {"PYTHONPATH": str(Path(devices.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    cores = devices.device_name(devices.make_strategy("cpu"))
    assert done.stdout.splitlines() == [f"single 1 {cores}", f"auto 1 {cores}", f"mirrored 2 2 x {cores}"]


def test_determinism_can_be_disabled() -> None:
    code = """
from tiny_imagenet.distribute import devices
import tensorflow as tf

devices.make_strategy("cpu", deterministic=False)
tf.random.uniform(())  # refused without a seed where operations are deterministic
"""
    environment = os.environ | {"PYTHONPATH": str(Path(devices.__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
