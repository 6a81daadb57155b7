import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.tiny_records import REPOSITORY

from tiny_imagenet.core import files
from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.files import atomic_directory, atomic_write, sha256_of, write_csv, write_json


def test_a_file_and_its_folder_appear_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    with atomic_write(path) as temporary:
        assert temporary.suffix == path.suffix  # NumPy would append its own
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


KILLED = """
import os, signal, sys
from pathlib import Path
from tiny_imagenet.core import files
with getattr(files, sys.argv[1])(Path(sys.argv[2])) as temporary:
    half = temporary / "half" if temporary.is_dir() else temporary
    half.write_text("half of something long")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", ["atomic_write", "atomic_directory"])
def test_what_a_killed_process_leaves_is_gone_after_the_next(tmp_path: Path, name: str) -> None:
    path = tmp_path / "result [1].txt"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", KILLED, name, str(path)], env=environment, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert len(list(tmp_path.iterdir())) == 1
    assert not path.exists()
    with getattr(files, name)(path) as temporary:
        assert not temporary.exists() or not list(temporary.iterdir())
        temporary.touch()
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_each_write_their_own(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    with atomic_write(path) as first:
        first.write_text("first")
        with atomic_write(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_directory_each_write_their_own(tmp_path: Path) -> None:
    path = tmp_path / "vgg"
    with atomic_directory(path) as first:
        (first / "a").touch()
        with atomic_directory(path) as second:
            (second / "b").touch()
        assert [each.name for each in path.iterdir()] == ["b"]
    assert [each.name for each in path.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_that_appears_while_another_is_put_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rename = tmp_path / "vgg", Path.rename

    def raced(self: Path, target: Path) -> Path:
        if target == path and not path.exists():
            monkeypatch.undo()
            path.mkdir()
            (path / "other").touch()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", raced)
    with atomic_directory(path) as temporary:
        (temporary / "mine").touch()
    assert [each.name for each in path.iterdir()] == ["mine"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(tmp_path: Path, mask: int) -> None:
    former = os.umask(mask)
    try:
        write_json(tmp_path / "a.json", {})
        with atomic_directory(tmp_path / "b"):
            pass
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o777 & ~mask


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    for name in ("a" * 251 + ".csv", "ä" * 127):
        write_csv(tmp_path / name, [{"a": 1}])
        assert (tmp_path / name).is_file()


@pytest.mark.parametrize("name", [".", "", "..", "/", "folder"])
def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r": is a folder; name a file$"), atomic_write(Path(name)):
        pass
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError, match=r"fifo: is not an ordinary file; name a file$"):
        write_json(tmp_path / "fifo", {})


@pytest.mark.parametrize("is_link", [False, True])
def test_a_file_is_not_replaced_by_a_directory(tmp_path: Path, is_link: bool) -> None:
    path = tmp_path / "vgg"
    if is_link:
        path.symlink_to("missing")
    else:
        path.write_text("of the user")
    for _ in range(2):
        with pytest.raises(InputError, match="vgg: is not a folder; rename, move or remove"), atomic_directory(path):
            pass
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
