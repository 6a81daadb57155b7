from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest
import yaml
from tests.support.tiny_archive import members, write_archive

from tiny_imagenet.archive.verification import content_fingerprint, verify
from tiny_imagenet.archive.zip_archive import Archive
from tiny_imagenet.core.errors import InputError

MEMBERS = members(train=1, val=1, test=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "archive.zip", MEMBERS)


def fingerprint_of(members: dict[str, bytes], root: str) -> str:
    """Computes the fingerprint by its definition."""
    lines = sorted(
        (f"{root}/{name}".encode(), hashlib.sha256(data).hexdigest().encode()) for name, data in members.items()
    )
    return hashlib.sha256(b"".join(digest + b"  " + name + b"\n" for name, digest in lines)).hexdigest()


def test_the_fingerprint_depends_on_the_members_and_not_on_the_zip(path: Path, tmp_path: Path) -> None:
    expected = fingerprint_of(MEMBERS, "tiny")
    assert content_fingerprint(path) == expected
    other = write_archive(tmp_path / "other.zip", dict(reversed(MEMBERS.items())))
    with zipfile.ZipFile(other, "a") as file:
        file.writestr("tiny/val/", b"")
    assert other.read_bytes() != path.read_bytes()
    assert content_fingerprint(other) == expected
    for changed in (MEMBERS | {"wnids.txt": b"n01\nn03\n"}, {"wnids.txt": b""}):
        assert content_fingerprint(write_archive(other, changed)) != expected
    assert content_fingerprint(write_archive(other, MEMBERS, root="elsewhere")) != expected


def test_either_digest_is_enough(path: Path) -> None:
    sha256, content_sha256 = hashlib.sha256(path.read_bytes()).hexdigest(), fingerprint_of(MEMBERS, "tiny")
    verify(path, sha256)
    verify(path, content_sha256=content_sha256)
    verify(path, sha256, "0" * 64, size_bytes=1)
    verify(path, "0" * 64, content_sha256, size_bytes=1)


def test_the_error_shows_expected_and_actual_values(path: Path) -> None:
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(InputError) as caught:
        verify(path, "1" * 64, "2" * 64, size_bytes=99)
    for shown in (
        actual,
        "1" * 64,
        "2" * 64,
        fingerprint_of(MEMBERS, "tiny"),
        f"{path.stat().st_size:,}",
        "expected 99,",
    ):
        assert shown in str(caught.value)


def test_a_missing_class_folder_is_refused(tmp_path: Path) -> None:
    rest = {name: data for name, data in MEMBERS.items() if not name.startswith("train/n02/images/")}
    with pytest.raises(InputError, match="content fingerprint is"):
        verify(write_archive(tmp_path / "rest.zip", rest), content_sha256=fingerprint_of(MEMBERS, "tiny"))


def test_a_file_and_a_digest_are_needed(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        verify(tmp_path / "none.zip", "0" * 64)
    with pytest.raises(ValueError, match="verify needs"):
        verify(path)


@pytest.mark.skipif(
    "TINY_IMAGENET_ARCHIVE" not in os.environ, reason="needs the real archive: TINY_IMAGENET_ARCHIVE is not set"
)
def test_the_real_archive_is_verified() -> None:
    path = Path(os.environ["TINY_IMAGENET_ARCHIVE"])
    dataset = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["datasets"]["tiny-imagenet-200"]
    verify(path, dataset["sha256"], dataset["content_sha256"], dataset["size_bytes"])
    with Archive(path) as archive:
        assert archive.root == "tiny-imagenet-200"
        assert sum(name.endswith(".JPEG") for name in archive.names) == 120_000
