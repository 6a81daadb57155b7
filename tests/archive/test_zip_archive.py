from __future__ import annotations

import pickle
import stat
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tiny_imagenet.archive import zip_archive
from tiny_imagenet.archive.zip_archive import GET_AGAIN, Archive
from tiny_imagenet.core.errors import InputError

MEMBERS = {
    "wnids.txt": b"n01\nn02\n",
    "words.txt": b"n01\tone\nn02\ttwo\n",
    "train/n01/n01_boxes.txt": b"n01_0.JPEG\t0\t0\t63\t63\n",
    "train/n01/images/n01_0.JPEG": b"jpeg of one",
    "train/n02/images/n02_0.JPEG": b"jpeg of two",
    "val/images/val_0.JPEG": b"jpeg of three",
    "val/val_annotations.txt": b"val_0.JPEG\tn01\t0\t0\t63\t63\n",
    "test/images/test_0.JPEG": b"jpeg of four",
}


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(f"tiny/{name}", data)
    return path


def add(path: Path, member: str | zipfile.ZipInfo, data: bytes = b"data", **options: Any) -> None:
    with zipfile.ZipFile(path, "a") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of duplicate names
        file.writestr(member, data, **options)


def patch(path: Path, old: bytes, new: bytes, count: int) -> None:
    data = path.read_bytes()
    assert data.count(old) == count
    path.write_bytes(data.replace(old, new))


def edit_central_header(path: Path, name: str, offset: int, value: bytes) -> None:
    """Overwrites bytes of a member's header in the central directory, but not its local header."""
    data = bytearray(path.read_bytes())
    start = data.rindex(name.encode()) - 46
    assert data[start : start + 4] == b"PK\x01\x02"
    data[start + offset : start + offset + len(value)] = value
    path.write_bytes(data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_zip(tmp_path / "archive.zip", MEMBERS)


def test_reads_the_layout(path: Path) -> None:
    with Archive(path) as archive:
        assert archive.root == "tiny"
        assert archive.names == sorted(MEMBERS)
        assert {name: archive.read(name) for name in archive.names} == MEMBERS


def test_directory_entries_are_skipped(path: Path) -> None:
    add(path, "tiny/val/", b"")
    add(path, "tiny/train/n01/images/", b"")
    with Archive(path) as archive:
        assert archive.names == sorted(MEMBERS)


def test_pickles_as_its_path(path: Path) -> None:
    with Archive(path) as archive, pickle.loads(pickle.dumps(archive)) as other:
        assert len(pickle.dumps(archive)) < 1000
        assert other.names == archive.names
        assert other.read("wnids.txt") == MEMBERS["wnids.txt"]


def test_a_missing_member_is_named(path: Path) -> None:
    with Archive(path) as archive, pytest.raises(InputError, match=r"tiny/val/none.txt: is missing from the archive"):
        archive.read("val/none.txt")


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "tiny/../../evil.txt",
        "tiny/train/../words.txt",
        "/etc/passwd",
        "/tiny/words.txt",
        "C:/evil.txt",
        "C:\\evil.txt",
        "tiny\\words.txt",
        "tiny/..\\evil.txt",
        "../",
        "/tiny/",
    ],
)
def test_an_unsafe_name_is_refused(path: Path, name: str) -> None:
    add(path, name, b"" if name.endswith("/") else b"data")
    with pytest.raises(InputError, match=f"is an unsafe name; {GET_AGAIN}") as caught:
        Archive(path)
    assert repr(name) in str(caught.value)
    assert caught.value.exit_status == 2


def test_a_name_with_a_nul_is_refused(path: Path) -> None:
    add(path, "tiny/words.txtXevil")
    patch(path, b"tiny/words.txtXevil", b"tiny/words.txt\0evil", 2)
    with pytest.raises(InputError, match="unsafe name"):
        Archive(path)


@pytest.mark.parametrize(
    "name",
    [
        "tiny/setup.py",
        "tiny/.hidden",
        "tiny/train/n01/images/n01_0.exe",
        "tiny/train/n01/images/.JPEG",
        "tiny/train/n01/n02_boxes.txt",
        "tiny/train/n01/images/deeper/n01_0.JPEG",
        "tiny/val/images/line\nbreak.JPEG",
        "tiny/val/images/\u202egnp.JPEG",
        "tiny/wnids.txt\n",
        "wnids.txt",
        "__MACOSX/tiny/._words.txt",
    ],
)
def test_a_file_outside_the_layout_is_refused_in_one_line(path: Path, name: str) -> None:
    add(path, name)
    with pytest.raises(InputError, match="is not a file of Tiny ImageNet's layout") as caught:
        Archive(path)
    assert "\n" not in str(caught.value)


def test_a_second_top_folder_is_refused(path: Path) -> None:
    add(path, "other/words.txt")
    with pytest.raises(InputError, match=r"'other/words.txt': is outside the archive's top folder 'tiny'"):
        Archive(path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_member_that_is_not_a_plain_file_is_refused(path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("tiny/val/images/val_1.JPEG")
    info.external_attr = (kind | 0o777) << 16
    add(path, info, b"/etc/passwd")
    with pytest.raises(InputError, match="is a symbolic link" if kind == stat.S_IFLNK else "is not a plain file"):
        Archive(path)


def test_a_symlink_that_looks_like_a_directory_is_refused(path: Path) -> None:
    info = zipfile.ZipInfo("tiny/val/")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    add(path, info, b"/etc")
    with pytest.raises(InputError, match="is a symbolic link"):
        Archive(path)


def test_an_encrypted_member_is_refused(path: Path) -> None:
    edit_central_header(path, "tiny/words.txt", 8, b"\x01\x00")
    with pytest.raises(InputError, match=r"'tiny/words.txt': is encrypted"):
        Archive(path)


def test_a_method_other_than_deflate_is_refused(path: Path) -> None:
    add(path, "tiny/val/images/val_1.JPEG", compress_type=zipfile.ZIP_BZIP2)
    with pytest.raises(InputError, match="other than deflate"):
        Archive(path)


def test_a_duplicate_name_is_refused(path: Path) -> None:
    add(path, "tiny/words.txt", b"another")
    with pytest.raises(InputError, match=r"'tiny/words.txt': is a duplicate name"):
        Archive(path)


def test_too_many_members_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_archive, "MAX_MEMBERS", 7)
    with pytest.raises(InputError, match="has 8 members, more than 7"):
        Archive(path)


def test_a_too_high_compression_ratio_is_refused(path: Path) -> None:
    add(path, "tiny/val/images/val_1.JPEG", bytes(2**20), compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match=r"inflates [\d,]+ bytes to 1,048,576, more than 100 times"):
        Archive(path)


def test_a_member_that_is_too_large_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_archive, "MAX_MEMBER_BYTES", 20)
    with pytest.raises(InputError, match="more than 20"):
        Archive(path)


def test_a_too_large_inflated_total_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    total = sum(map(len, MEMBERS.values()))
    monkeypatch.setattr(zip_archive, "MAX_INFLATED_BYTES", total)
    Archive(path).close()
    monkeypatch.setattr(zip_archive, "MAX_INFLATED_BYTES", total - 1)
    with pytest.raises(InputError, match="brings the inflated size over"):
        Archive(path)


def test_a_bomb_with_a_false_size_is_not_inflated(path: Path) -> None:
    name = "tiny/val/images/val_1.JPEG"
    add(path, name, bytes(2**26), compress_type=zipfile.ZIP_DEFLATED)
    edit_central_header(path, name, 24, struct.pack("<I", 1000))
    import tracemalloc

    tracemalloc.start()
    with Archive(path) as archive, pytest.raises(InputError, match=r"val_1.JPEG: is damaged"):
        archive.read("val/images/val_1.JPEG")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2**22  # the member inflates to 64 MiB


def test_a_member_shorter_than_its_header_says_is_refused(path: Path) -> None:
    edit_central_header(path, "tiny/words.txt", 24, struct.pack("<I", len(MEMBERS["words.txt"]) + 5))
    with Archive(path) as archive, pytest.raises(InputError, match=r"tiny/words.txt: (holds|is damaged)"):
        archive.read("words.txt")


def test_a_bad_crc_names_the_member(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("tiny/words.txt", b"the words")
        file.writestr("tiny/wnids.txt", b"the wnids")
    patch(path, b"the words", b"the wordz", 1)
    with Archive(path) as archive:
        assert archive.read("wnids.txt") == b"the wnids"
        with pytest.raises(InputError, match=r"archive.zip: tiny/words.txt: is damaged: Bad CRC-32.*" + GET_AGAIN):
            archive.read("words.txt")


def test_overlapping_members_cannot_be_read(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        offset = file.getinfo("tiny/words.txt").header_offset
    edit_central_header(path, "tiny/wnids.txt", 42, struct.pack("<I", offset))
    with Archive(path) as archive, pytest.raises(InputError, match=r"tiny/wnids.txt: is damaged"):
        archive.read("wnids.txt")


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", b"PK\x03\x04" + bytes(1000)])
def test_a_file_that_is_not_a_zip_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"is not a complete zip file \({len(content):,} bytes\)"):
        Archive(path)


def test_a_truncated_zip_is_refused(path: Path) -> None:
    data = path.read_bytes()
    for num_bytes in (len(data) * 10 // 100, len(data) // 2, len(data) * 99 // 100, len(data) - 1):
        path.write_bytes(data[:num_bytes])
        with pytest.raises(InputError, match="is not a complete zip file"):
            Archive(path)


def test_an_empty_zip_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is an empty zip file"):
        Archive(write_zip(tmp_path / "empty.zip", {}))
    with pytest.raises(InputError, match="is not a complete zip file"):
        Archive(tmp_path)
    with pytest.raises(InputError, match="not found; run `dvc repro fetch`"):
        Archive(tmp_path / "none.zip")


def test_any_flipped_byte_is_an_input_error_or_changes_no_content(path: Path) -> None:
    data = path.read_bytes()
    for index in range(len(data)):
        path.write_bytes(data[:index] + bytes([data[index] ^ 0xFF]) + data[index + 1 :])
        try:
            with Archive(path) as archive:
                read = {name: archive.read(name) for name in archive.names}
        except InputError:
            continue
        assert all(data in MEMBERS.values() for data in read.values())
