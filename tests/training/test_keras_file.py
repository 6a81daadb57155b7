"""A saved model's bytes are a function of the model, and plain Keras reads them."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests.support.tiny_records import REPOSITORY

from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.dataset.model_info import MEMBER, ModelInfo, read_model_info
from tiny_imagenet.training.keras_file import DATE, DATE_SAVED, save_model

CLASSES = (Class("n1", "caf\u00e9"), Class("n2", "cup, mug"), Class("n3", "jar"))
INFO = ModelInfo(model="cnn", dataset="cups", image_size=8, classes=CLASSES, flip_tta=True)
PLAIN, MIXED = "float32", "mixed_bfloat16"
CODE = """
import sys
from pathlib import Path
from tests.training.test_keras_file import INFO, save_model, trained_model

for policy, path in zip(sys.argv[1::2], sys.argv[2::2]):
    save_model(trained_model(policy), INFO, Path(path))
"""


def trained_model(policy: str) -> keras.Model:
    """Returns a model after two steps; one regularizer and one initializer are shared by two layers."""
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(3)
    shared = {"kernel_regularizer": keras.regularizers.L2(1e-3), "kernel_initializer": keras.initializers.HeNormal(5)}
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, **shared)(images)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Conv2D(4, 3, activation="relu", **shared)(x)
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(x))
    model = keras.Model(images, keras.layers.Dense(3, dtype="float32")(x))
    keras.config.set_dtype_policy(PLAIN)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    inputs = sample_images()
    for _ in range(2):
        model.train_on_batch(inputs, np.arange(len(inputs)) % 3)
    return keras.Model(model.inputs, model.outputs)


def sample_images() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype(np.float32)


def saved_in_its_own_process(folder: Path, hash_seed: int) -> list[bytes]:
    """Returns the files of a training for each policy."""
    search = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
    environment = os.environ | {"PYTHONPATH": search, "PYTHONHASHSEED": str(hash_seed)}
    paths = [folder / f"{policy}-{hash_seed}.keras" for policy in (PLAIN, MIXED)]
    words = [word for pair in zip((PLAIN, MIXED), map(str, paths), strict=True) for word in pair]
    subprocess.run([sys.executable, "-c", CODE, *words], env=environment, capture_output=True, check=True)
    return [path.read_bytes() for path in paths]


@pytest.mark.slow  # tests/stages/test_train.py compares all files of two trainings
def test_equal_trainings_in_two_processes_give_equal_bytes(tmp_path: Path) -> None:
    first, second = (saved_in_its_own_process(tmp_path, seed) for seed in (1, 2))
    assert first == second
    assert first[0] != first[1]


@pytest.mark.parametrize("policy", [PLAIN, MIXED])
def test_plain_keras_loads_the_file_and_predicts_the_same(tmp_path: Path, policy: str) -> None:
    model, path = trained_model(policy), tmp_path / "model.keras"
    save_model(model, INFO, path)
    loaded = keras.saving.load_model(path)
    assert np.array_equal(loaded.predict(sample_images(), verbose=0), model.predict(sample_images(), verbose=0))
    kinds, loaded_kinds = (
        [(type(layer), layer.compute_dtype) for layer in each.layers[1:]] for each in (model, loaded)
    )
    assert loaded_kinds == kinds
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    assert [float(loss) for loss in loaded.losses] == [float(loss) for loss in model.losses]
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
    assert read_model_info(path) == INFO


def test_the_file_does_not_hold_the_date(tmp_path: Path) -> None:
    model, path = trained_model(PLAIN), tmp_path / "model.keras"
    save_model(model, INFO, path)
    today = datetime.date.today().isoformat()
    with zipfile.ZipFile(path) as file:
        assert {info.date_time for info in file.infolist()} == {DATE}
        content = {name: file.read(name) for name in file.namelist()}
    assert sorted(content) == ["config.json", "metadata.json", "model.weights.h5", MEMBER]
    assert not any(today.encode() in data for data in content.values())
    assert json.loads(content["metadata.json"])["date_saved"] == DATE_SAVED
    assert json.loads(content["metadata.json"])["keras_version"] == keras.__version__


def test_shared_objects_stay_shared(tmp_path: Path) -> None:
    """The file differs from Keras' own in the ids alone: addresses there, 1, 2 ... in order of appearance here."""
    model = trained_model(PLAIN)
    model.save(tmp_path / "keras.keras")
    save_model(model, INFO, tmp_path / "ours.keras")
    theirs, ours = (read_config(tmp_path / name) for name in ("keras.keras", "ours.keras"))
    addresses, numbers = (
        [node.pop("shared_object_id") for node in nodes(config) if "shared_object_id" in node]
        for config in (theirs, ours)
    )
    order = list(dict.fromkeys(addresses))
    assert len(addresses) > len(order) > 1
    assert numbers == [order.index(address) + 1 for address in addresses]
    assert ours == theirs


def test_a_failed_save_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save_partly(_: keras.Model, path: Path) -> None:
        path.write_bytes(b"part")
        raise OSError(28, "No space left on device")

    model = trained_model(PLAIN)
    monkeypatch.setattr(keras.Model, "save", save_partly)
    with pytest.raises(OSError, match="No space left"):
        save_model(model, INFO, tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


def read_config(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as file:
        return dict(json.loads(file.read("config.json")))


def nodes(tree: object) -> list[dict[str, Any]]:
    """Returns all mappings of a JSON tree."""
    if isinstance(tree, list):
        return [node for item in tree for node in nodes(item)]
    return [tree, *nodes(list(tree.values()))] if isinstance(tree, dict) else []
