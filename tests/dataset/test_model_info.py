"""The metadata in a `.keras` file: read without TensorFlow, after a check of the whole file."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.support.model_files import INFO, write_metadata

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.model_info import MAX_RATIO, MEMBER, read_model_info


def test_metadata_is_read_as_written(tmp_path: Path) -> None:
    assert read_model_info(write_metadata(tmp_path / "model.keras")) == INFO


def test_a_file_of_an_earlier_version_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as file:
        file.writestr("config.json", "{}")
    line = (
        rf"model\.keras: has no {MEMBER}: it is of an earlier version; train the model again with `dvc repro --force`"
    )
    with pytest.raises(InputError, match=line):
        read_model_info(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "Invalid JSON"),
        ("{}", "model: Field required"),
        ("[]", "Input should be an object"),
        (INFO.model_dump_json().replace(INFO.model, "../src"), "model: "),
        (INFO.model_dump_json().replace(f'"{INFO.dataset}"', '"\\u001b[31m"'), "dataset: "),
        (INFO.model_dump_json().replace(f":{INFO.image_size},", ":300000,"), "image_size: "),
    ],
)
def test_damaged_metadata_is_one_line(tmp_path: Path, content: str, what: str) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as file:
        file.writestr(MEMBER, content)
    with pytest.raises(InputError, match=rf"model\.keras: {MEMBER}: {what}") as caught:
        read_model_info(tmp_path / "model.keras")
    assert "\n" not in str(caught.value)


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    path = write_metadata(tmp_path / "model.keras")
    path.write_bytes(path.read_bytes().replace(b"cup, mug", b"cup, jug", 1))
    with pytest.raises(InputError, match=r"is damaged .*; run `dvc checkout`"):
        read_model_info(path)


def with_field(path: Path, offset: int, value: int) -> None:
    """Changes a field of 16 bits in the zip's directory and in the member's own header, which is two bytes shorter."""
    data = bytearray(path.read_bytes())
    for start, at in ((data.rindex(b"PK\x01\x02"), offset), (data.rindex(b"PK\x03\x04"), offset - 2)):
        data[start + at : start + at + 2] = value.to_bytes(2, "little")
    path.write_bytes(data)


@pytest.mark.parametrize(("offset", "value"), [(8, 1), (10, 99), (10, 14), (10, 8)])  # encrypted; kinds of compression
def test_a_member_that_zipfile_cannot_read_is_one_line(tmp_path: Path, offset: int, value: int) -> None:
    path = write_metadata(tmp_path / "model.keras")
    with_field(path, offset, value)
    with pytest.raises(InputError, match=r"model\.keras: (cannot be read|is damaged) .*; run `dvc checkout`") as caught:
        read_model_info(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_unpacks_to_far_more_than_its_size_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(MEMBER, INFO.model_dump_json())
        file.writestr("model.weights.h5", bytes(1 << 20))
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with pytest.raises(InputError, match=f"would unpack to more than {MAX_RATIO} times its size"):
        read_model_info(tmp_path / "model.keras")


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.h5: is not a \.keras file"):
        read_model_info(tmp_path / "model.h5")


def test_no_tensorflow_is_imported() -> None:
    code = "import sys, tiny_imagenet.dataset.model_info; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
