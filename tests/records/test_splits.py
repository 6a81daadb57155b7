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
