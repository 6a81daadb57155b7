import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.dataset.model_info import ModelInfo
from tiny_imagenet.evaluation.saved_models import load_model
from tiny_imagenet.training.keras_file import save_model

INFO = ModelInfo(
    model="cnn", dataset="cups", image_size=8, classes=tuple(Class(f"n{i}", "cup") for i in range(3)), flip_tta=False
)


def save(model: keras.Model, path: Path, **changes: object) -> Path:
    save_model(model, INFO.model_copy(update=changes), path)
    return path


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(images)))
    return save(model, tmp_path / "model.keras")


def test_a_saved_model_is_loaded_with_its_metadata(saved: Path) -> None:
    model, info = load_model(saved)
    assert model.output_shape == (None, 3)
    assert info == INFO


def test_a_model_for_images_of_any_size_is_loaded_for_each_size(tmp_path: Path) -> None:
    images = keras.Input((None, None, 3))
    model = keras.Model(images, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(images)))
    for image_size in (8, 64):
        loaded, _ = load_model(save(model, tmp_path / "model.keras", image_size=image_size))
        assert loaded.input_shape == (None, None, None, 3)
    with pytest.raises(InputError, match=r"not \(8, 8, 3\) to \(2,\) as it says"):
        load_model(save(model, tmp_path / "model.keras", classes=INFO.classes[:2]))


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def empty(_: bytes) -> bytes:
    return b""


def flip_a_bit(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def garbage(data: bytes) -> bytes:
    return b"x" * len(data)


@pytest.mark.parametrize("spoil", [cut, empty, flip_a_bit, garbage])
def test_a_damaged_file_is_not_opened(
    saved: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[bytes], bytes]
) -> None:
    saved.write_bytes(spoil(saved.read_bytes()))
    monkeypatch.setattr(keras.saving, "load_model", None)
    with pytest.raises(InputError, match=r"model\.keras: (is damaged|cannot be read) .*; run `dvc checkout`") as caught:
        load_model(saved)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.keras: not found; run `dvc repro`"):
        load_model(tmp_path / "model.keras")


def test_code_in_a_model_is_not_run(tmp_path: Path) -> None:
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, keras.layers.Lambda(lambda x: x)(keras.layers.Dense(3)(keras.layers.Flatten()(images))))
    with pytest.raises(InputError, match="Lambda"):
        load_model(save(model, tmp_path / "model.keras"))


def test_another_object_of_keras_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.keras: cannot be loaded: "):
        load_model(save(keras.Sequential([keras.layers.Dense(3)]), tmp_path / "model.keras"))


def test_a_long_message_of_keras_is_cut(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("word " * 100_000)

    monkeypatch.setattr(keras.saving, "load_model", refuse)
    with pytest.raises(InputError) as caught:
        load_model(saved)
    assert len(str(caught.value)) < 600


def test_a_class_named_in_the_file_is_not_imported(saved: Path) -> None:
    with zipfile.ZipFile(saved) as file:
        members = {name: file.read(name) for name in file.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][1] |= {"module": "os", "class_name": "system", "registered_name": None}
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as file:
        for name, data in (members | {"config.json": json.dumps(config).encode()}).items():
            file.writestr(name, data)
    saved.write_bytes(changed.getvalue())
    with pytest.raises(InputError, match="cannot be loaded"):
        load_model(saved)
