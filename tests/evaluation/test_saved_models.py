import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import sha256_of
from tiny_imagenet.evaluation.saved_models import load_model, load_run_file


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(images)))
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_a_saved_model_is_loaded(saved: Path) -> None:
    model = load_model(saved, sha256_of(saved), 8, 3)
    assert model.output_shape == (None, 3)


def test_a_model_for_images_of_any_size_is_loaded_for_each_size(tmp_path: Path) -> None:
    images = keras.Input((None, None, 3))
    model = keras.Model(images, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(images)))
    model.save(tmp_path / "model.keras")
    for image_size in (8, 64):
        loaded = load_model(tmp_path / "model.keras", sha256_of(tmp_path / "model.keras"), image_size, 3)
        assert loaded.input_shape == (None, None, None, 3)
    with pytest.raises(InputError, match=r"the data needs \(8, 8, 3\) to \(4,\)"):
        load_model(tmp_path / "model.keras", sha256_of(tmp_path / "model.keras"), 8, 4)


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
def test_a_file_with_another_digest_is_not_opened(
    saved: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[bytes], bytes]
) -> None:
    digest = sha256_of(saved)
    saved.write_bytes(spoil(saved.read_bytes()))
    monkeypatch.setattr(keras.saving, "load_model", None)
    with pytest.raises(InputError, match=r"model\.keras: is not the model that training saved .*`dvc repro --force`"):
        load_model(saved, digest, 8, 3)


@pytest.mark.parametrize("spoil", [cut, empty, garbage])
def test_a_file_that_keras_cannot_load_is_a_one_line_error(saved: Path, spoil: Callable[[bytes], bytes]) -> None:
    saved.write_bytes(spoil(saved.read_bytes()))
    with pytest.raises(InputError, match=r"model\.keras: cannot be loaded: .*; train it again") as caught:
        load_model(saved, sha256_of(saved), 8, 3)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.keras: not found; run `dvc repro`"):
        load_model(tmp_path / "model.keras", "", 8, 3)


@pytest.mark.parametrize(("image_size", "num_classes"), [(8, 4), (9, 3)])
def test_a_model_of_other_data_is_refused(saved: Path, image_size: int, num_classes: int) -> None:
    message = rf"maps \(8, 8, 3\) to \(3,\), the data needs \({image_size}, .*\) to \({num_classes},\); train it again"
    with pytest.raises(InputError, match=message):
        load_model(saved, sha256_of(saved), image_size, num_classes)


def test_code_in_a_model_is_not_run(tmp_path: Path) -> None:
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, keras.layers.Lambda(lambda x: x)(keras.layers.Dense(3)(keras.layers.Flatten()(images))))
    model.save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="Lambda"):
        load_model(tmp_path / "model.keras", sha256_of(tmp_path / "model.keras"), 8, 3)


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
        load_model(saved, sha256_of(saved), 8, 3)


def test_run_json_is_read(tmp_path: Path) -> None:
    run = {"run_id": "a", "experiment": "b", "model_sha256": "c"}  # as earlier versions wrote it
    for content in (run, run | {"train_seconds": 1.5}):
        (tmp_path / "run.json").write_text(json.dumps(content))
        assert load_run_file(tmp_path / "run.json").model_dump(exclude_unset=True) == content


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", '{"run_id": "a"}'])
def test_a_broken_run_json_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json: .+; run `dvc repro`"):
        load_run_file(tmp_path / "run.json")
