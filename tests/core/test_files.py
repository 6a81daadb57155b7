import hashlib
import json
from pathlib import Path

import pytest

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.files import atomic_directory, atomic_write, sha256_of, write_csv, write_json


def test_a_file_and_its_folder_appear_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    with atomic_write(path) as temporary:
        assert (temporary.parent, temporary.suffix) == (path.parent, path.suffix)
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def write_half(path: Path) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text("half of something long")
        raise RuntimeError


def test_a_failure_leaves_the_former_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    path.write_text("former")
    with pytest.raises(RuntimeError):
        write_half(path)
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_of_a_killed_run_is_gone_after_the_next(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        leftover = temporary
    leftover.write_text("half of something long")
    with atomic_write(path) as temporary:
        temporary.write_text("newer")
    assert path.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_is_strict(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": value})
    assert not list(tmp_path.iterdir())


def test_json_and_csv_are_read_back(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ä": [1, 0.1, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"ä": [1, 0.1, None]}
    write_csv(tmp_path / "a.csv", [{"a": 0.1, "b": "x, y"}, {"a": 1 / 3, "b": ""}])
    assert (tmp_path / "a.csv").read_bytes() == b'a,b\n0.1,"x, y"\n0.3333333333333333,\n'


def test_the_digest_is_that_of_the_whole_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000  # more than a block
    (tmp_path / "a").write_bytes(data)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_a_directory_is_replaced_atomically(tmp_path: Path) -> None:
    path = tmp_path / "records"
    with atomic_directory(path) as temporary:
        (temporary / "a").write_text("first")
    leftover = tmp_path / ".temporary-records"
    leftover.mkdir()
    (leftover / "half").write_text("of a killed run")
    with atomic_directory(path) as temporary:
        assert list(temporary.iterdir()) == []
        (temporary / "b").write_text("second")
    assert [item.name for item in path.iterdir()] == ["b"]

    def fail() -> None:
        with atomic_directory(path) as temporary:
            (temporary / "c").write_text("third")
            raise InputError("x", "is wrong", "correct it")

    with pytest.raises(InputError):
        fail()
    assert [item.name for item in tmp_path.iterdir()] == ["records"]
    assert (path / "b").read_text() == "second"


def test_a_directory_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PipelineError, match="file"), atomic_directory(tmp_path / "file" / "records"):
        pass
