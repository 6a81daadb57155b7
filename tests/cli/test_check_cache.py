"""`tiny-imagenet check-cache` finds corrupt objects in DVC's cache, and with --remove removes them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from dvc.repo import Repo

from tiny_imagenet.cli.check_cache import read_repository


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes a DVC repository with a file, and a folder of two files, one of them empty."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "file").write_bytes(b"a model")
    (folder / "one").write_bytes(b"a shard")
    (folder / "two").write_bytes(b"")
    with Repo.init(str(tmp_path), no_scm=True) as repo:
        repo.add([str(tmp_path / "file"), str(folder)])
    return tmp_path


def overwrite(root: Path, output: str, content: bytes) -> Path:
    cache, outputs = read_repository(root)
    (name,) = [name for name, names in outputs.items() if output in names]
    path = cache / name[:2] / name[2:]
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)  # as DVC protects its objects; it computes the MD5 of writable ones again
    return path


def test_an_intact_cache(root: Path, run) -> None:
    status, out, _ = run("check-cache", "--root", root)
    assert status == 0
    assert out.endswith("files/md5: 4 objects, all intact\n")


@pytest.mark.parametrize(
    ("output", "content", "named"),
    [
        ("file", b"a m0del", "file"),
        ("file", b"", "file"),
        ("folder/one", b"a shar", "folder/one"),
        ("folder/two", b"x", "folder/two"),
        ("folder", b"[]", "folder"),
        ("folder", b"no JSON", "folder"),
    ],
)
def test_a_corrupt_object_is_named_by_its_output(root: Path, run, output: str, content: bytes, named: str) -> None:
    path = overwrite(root, output, content)
    status, out, err = run("check-cache", "--root", root)
    assert (status, out) == (1, f"{path}: {named} (another checksum)\n")
    assert err.startswith("error: check-cache: ")
    assert err.endswith("files/md5: 1 of 4 objects are corrupt; remove them with --remove\n")
    assert path.exists()


def test_a_removed_object_can_be_restored(root: Path, run) -> None:
    path = overwrite(root, "file", b"other")
    status, _, err = run("check-cache", "--root", root, "--remove")
    assert status == 1
    assert err.endswith("1 of 4 objects are corrupt; run `dvc fetch` or `dvc repro` to restore them\n")
    assert not path.exists()
    with Repo(str(root)) as repo:
        repo.add([str(root / "file")])
    assert run("check-cache", "--root", root).out.endswith("4 objects, all intact\n")


def test_an_object_of_another_commit(root: Path, run) -> None:
    path = overwrite(root, "file", b"other")
    (root / "file.dvc").unlink()
    assert run("check-cache", "--root", root)[:2] == (1, f"{path}: no output of this commit (another checksum)\n")


def test_temporary_files_of_a_running_dvc_are_no_objects(root: Path, run) -> None:
    cache, outputs = read_repository(root)
    (name,) = [name for name, names in outputs.items() if names == ["file"]]
    temporary = [cache / name[:2] / each for each in (".Kd0.tmp", f"{name[2:]}.Kd0.tmp", f"{name[2:]}.dir.unpacked")]
    for each in temporary:
        each.touch()
    status, out, _ = run("check-cache", "--root", root, "--remove")
    assert (status, out.split(": ")[1]) == (0, "4 objects, all intact\n")
    assert all(each.exists() for each in temporary)


def fail_to_open(path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the opening of a file fail."""
    opened = Path.open

    def fail(self: Path, *words, **options):
        if self == path:
            raise OSError(number, os.strerror(number), str(self))
        return opened(self, *words, **options)

    monkeypatch.setattr(Path, "open", fail)


@pytest.mark.parametrize("output", ["file", "folder"])
def test_an_object_that_dvc_removes_meanwhile_is_no_error(root: Path, run, monkeypatch, output: str) -> None:
    fail_to_open(overwrite(root, output, b"other"), errno.ENOENT, monkeypatch)
    assert run("check-cache", "--root", root, "--remove").status == 0


@pytest.mark.parametrize("output", ["file", "folder"])
def test_an_object_that_the_disk_cannot_read_is_corrupt(root: Path, run, monkeypatch, output: str) -> None:
    path = overwrite(root, output, b"other")
    fail_to_open(path, errno.EIO, monkeypatch)
    status, out, _ = run("check-cache", "--root", root, "--remove")
    assert (status, out) == (1, f"{path}: {output} ({os.strerror(errno.EIO)})\n")
    assert not path.exists()


def test_an_object_without_read_permission_is_kept(root: Path, run, monkeypatch) -> None:
    path = overwrite(root, "file", b"other")
    fail_to_open(path, errno.EACCES, monkeypatch)
    status, _, err = run("check-cache", "--root", root, "--remove")
    assert status == 1
    assert err.startswith(f"error: check-cache: {path}: cannot be used: ")
    assert path.exists()


def test_without_a_repository(tmp_path: Path, run) -> None:
    status, _, err = run("check-cache", "--root", tmp_path)
    assert status == 2
    assert err.endswith("; name a checkout with --root\n")
