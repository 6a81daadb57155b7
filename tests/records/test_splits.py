import re
from pathlib import Path

import pytest
from tests.support.tiny_archive import WNIDS, members, write_archive

from tiny_imagenet.archive.zip_archive import Archive
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.classes import NO_LABEL, Class
from tiny_imagenet.records.splits import Dataset, hold_out, load_dataset, shuffle_train


def load(tmp_path: Path, files: dict[str, bytes]) -> Dataset:
    with Archive(write_archive(tmp_path / "archive.zip", files)) as archive:
        return load_dataset(archive)


def test_classes_follow_wnids_and_fall_back_to_the_wnid(tmp_path: Path) -> None:
    dataset = load(tmp_path, members())
    assert dataset.classes == (Class("n02", "dog, hound"), Class("n01", "cat"), Class("n03", "n03"))


def test_splits_are_in_natural_order_with_their_labels(tmp_path: Path) -> None:
    dataset = load(tmp_path, members(train=12, val=4, test=11))
    assert {split: len(images) for split, images in dataset.splits.items()} == {"train": 36, "val": 12, "test": 11}
    assert [image.name for image in dataset.splits["val"]] == [f"val/images/val_{index}.JPEG" for index in range(12)]
    assert [image.label for image in dataset.splits["val"]] == [0, 1, 2] * 4
    assert {image.label for image in dataset.splits["test"]} == {NO_LABEL}
    assert all(image.name.split("/")[1] == WNIDS[image.label] for image in dataset.splits["train"])
    assert dataset.splits["train"][10].name == "train/n02/images/n02_10.JPEG"


def test_the_order_of_the_zip_does_not_matter(tmp_path: Path) -> None:
    files = members()
    assert load(tmp_path / "a", files) == load(tmp_path / "b", dict(reversed(files.items())))


def test_the_test_split_is_optional(tmp_path: Path) -> None:
    assert set(load(tmp_path, members(test=0)).splits) == {"train", "val"}


ANNOTATIONS = members()["val/val_annotations.txt"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("wnids.txt", None, "wnids.txt: is missing"),
        ("wnids.txt", b"\n", "wnids.txt: names no class"),
        ("wnids.txt", b"n01\nn02\nn03\nn01\n", "wnids.txt: names n01 2 times"),
        ("wnids.txt", b"n01\nn02\nn03\nn04\n", "train/n04/images: holds no image"),
        ("wnids.txt", b"n01\nn02\n", "train/n03: is not a class of wnids.txt"),
        ("words.txt", None, "words.txt: is missing"),
        ("words.txt", b"n01 cat\n", "words.txt: line 1 has fewer than 2 columns"),
        ("words.txt", b"n01\t\xff\n", "words.txt: is not UTF-8"),
        ("val/val_annotations.txt", None, "val_annotations.txt: is missing"),
        (
            "val/val_annotations.txt",
            ANNOTATIONS + b"val_99.JPEG\tn01\n",
            "names val/images/val_99.JPEG, which is not in",
        ),
        ("val/val_annotations.txt", ANNOTATIONS + b"val_0.JPEG\tn01\n", "names val_0.JPEG 2 times"),
        (
            "val/val_annotations.txt",
            ANNOTATIONS.replace(b"n01", b"n77"),
            "val_1.JPEG the class 'n77', which is not in wnids",
        ),
        ("val/val_annotations.txt", ANNOTATIONS.partition(b"\n")[2], "has no line for val/images/val_0.JPEG"),
    ],
)
def test_an_error_in_a_file_is_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    files = members()
    if content is None:
        del files[name]
    else:
        files[name] = content
    with pytest.raises(InputError, match=re.escape(message)):
        load(tmp_path, files)


@pytest.mark.parametrize("folder", ["train/n01/images", "val/images"])
def test_an_empty_folder_is_named(tmp_path: Path, folder: str) -> None:
    files = {name: data for name, data in members().items() if not name.startswith(f"{folder}/")}
    with pytest.raises(InputError, match=f"{folder}: holds no image"):
        load(tmp_path, files)


def test_shuffle_is_seeded_and_keeps_val(tmp_path: Path) -> None:
    dataset = load(tmp_path, members())
    one, again, other = (shuffle_train(dataset, seed) for seed in (1, 1, 2))
    assert one == again != other
    assert sorted(one.splits["train"]) == sorted(dataset.splits["train"]) != one.splits["train"]
    assert one.splits["val"] == dataset.splits["val"]


def test_hold_out_takes_the_same_number_of_each_class(tmp_path: Path) -> None:
    dataset = load(tmp_path, members())
    divided = hold_out(dataset, 2, seed=1)
    train, holdout = divided.splits["train"], divided.splits["holdout"]
    assert [image.label for image in holdout] == [0, 0, 1, 1, 2, 2]
    assert sorted(train + holdout) == sorted(dataset.splits["train"])
    assert divided == hold_out(dataset, 2, seed=1) != hold_out(dataset, 2, seed=2)
    assert hold_out(dataset, 0, seed=1) == dataset


def test_hold_out_refuses_to_take_all_images_of_a_class(tmp_path: Path) -> None:
    dataset = load(tmp_path, members(train=7))
    with pytest.raises(InputError, match=r"holdout_per_class: is 7.*only 7 train images; choose less than 7"):
        hold_out(dataset, 7, seed=1)


BOM = "\ufeff".encode()


@pytest.mark.parametrize("name", ["wnids.txt", "words.txt", "val/val_annotations.txt"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_byte_order_mark_is_no_text(tmp_path: Path, name: str, line_end: bytes) -> None:
    files = members()
    rows = files[name].splitlines()
    files[name] = b"".join(BOM + row + line_end for row in rows)  # also where files with marks were joined
    assert load(tmp_path / "marked", files) == load(tmp_path / "plain", members())


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("wnids.txt", b"\nn02\r\nn02\n", "wnids.txt: names n02 3 times (lines 1, 5, 6)"),
        ("words.txt", b"n02\tpuppy\n", "words.txt: names n02 2 times (lines 2, 4)"),
        ("words.txt", BOM + b"n01\tkitten\n", "words.txt: names n01 2 times (lines 1, 4)"),
        ("val/val_annotations.txt", b"val_3.JPEG\tn01\n", "names val_3.JPEG 2 times (lines 4, 7)"),
        ("val/val_annotations.txt", b"val_3.JPEG\tn02\n" * 9, "names val_3.JPEG 10 times (lines 4, 7, 8, 9, 10 ...)"),
    ],
)
def test_a_repeated_row_is_refused_with_its_lines(tmp_path: Path, name: str, rows: bytes, message: str) -> None:
    files = members()
    files[name] += rows
    with pytest.raises(InputError, match=re.escape(message)):
        load(tmp_path, files)


@pytest.mark.parametrize("character", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\r"])
def test_lines_end_at_line_feeds_only(tmp_path: Path, character: str) -> None:
    files = members() | {"words.txt": f"n03\tbig{character}bird\nn01\tcat\n".encode()}
    words = [each.words for each in load(tmp_path, files).classes]
    assert words == ["n02", "cat", "big" + character.encode("unicode_escape").decode() + "bird"]


def test_old_line_ends_are_named(tmp_path: Path) -> None:
    files = members() | {"wnids.txt": b"n01\rn02\rn03\r"}
    with pytest.raises(InputError, match=re.escape(r"wnids.txt: line 1: 'n01\\rn02\\rn03' is no class id")):
        load(tmp_path, files)


@pytest.mark.parametrize("text", ["\x1b]0;owned\x07\x1b[2J", "\x9b31m", "\x08\x7f", "\u202egnp", "\u200b", "\ufeff"])
def test_no_text_of_the_archive_reaches_the_terminal_raw(tmp_path: Path, text: str) -> None:
    words = load(tmp_path / "a", members() | {"words.txt": f"n01\tcat{text}\n".encode()}).classes[1].words
    rows = f"{text}evil\tn01\nval_0.JPEG\t{text}n01\n".encode()
    errors = [words]
    for name, content in (("val/val_annotations.txt", rows), ("wnids.txt", f"{text}n01\n{text}n01\n".encode())):
        with pytest.raises(InputError) as caught:
            load(tmp_path / "b", members() | {name: content})
        errors.append(str(caught.value))
    assert all(each.isprintable() for each in errors)
    assert words == "cat" + text.encode("unicode_escape").decode()
