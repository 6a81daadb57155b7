"""The command that finds altered objects in DVC's cache."""

from __future__ import annotations

from pathlib import Path

import pytest
from dvc.repo import Repo

from tiny_imagenet.cli.check_cache import main, read_repository
from tiny_imagenet.core.errors import InputError, PipelineError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a DVC repository with a file, and a folder of two files, one of them empty."""
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
    path.chmod(0o444)  # as DVC protects its objects: it would read anew what is not
    return path


def test_a_whole_cache(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--root", str(root)])
    assert capsys.readouterr().out.endswith("files/md5: 4 objects, all whole\n")


@pytest.mark.parametrize(
    ("output", "content", "told"),
    [
        ("file", b"a m0del", "file"),
        ("file", b"", "file"),
        ("folder/one", b"a shar", "folder/one"),
        ("folder/two", b"x", "folder/two"),
        ("folder", b"[]", "folder"),
        ("folder", b"no JSON", "folder"),
    ],
)
def test_what_was_overwritten_is_named(
    root: Path, capsys: pytest.CaptureFixture[str], output: str, content: bytes, told: str
) -> None:
    path = overwrite(root, output, content)
    with pytest.raises(PipelineError, match="1 of 4 objects are not what they were; take them away with --remove"):
        main(["--root", str(root)])
    assert capsys.readouterr().out == f"{path}: {told}\n"
    assert path.exists()


def test_removed_it_can_be_made_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = overwrite(root, "file", b"other")
    with pytest.raises(PipelineError, match="dvc repro"):
        main(["--root", str(root), "--remove"])
    assert not path.exists()
    with Repo(str(root)) as repo:
        repo.add([str(root / "file")])
    capsys.readouterr()
    main(["--root", str(root)])
    assert capsys.readouterr().out.endswith("4 objects, all whole\n")


def test_an_object_of_another_commit(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = overwrite(root, "file", b"other")
    (root / "file.dvc").unlink()
    with pytest.raises(PipelineError):
        main(["--root", str(root)])
    assert capsys.readouterr().out == f"{path}: no output of this commit\n"


def test_without_a_repository(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name a checkout with --root"):
        main(["--root", str(tmp_path)])
