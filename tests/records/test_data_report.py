import json
from pathlib import Path
from typing import Any

from tests.support.tiny_archive import SIZE, jpeg, members, write_archive

from tiny_imagenet.archive.zip_archive import Archive
from tiny_imagenet.records.data_report import make_report
from tiny_imagenet.records.findings import inspect
from tiny_imagenet.records.jpeg import decode
from tiny_imagenet.records.splits import load_dataset


def report_on(path: Path, files: dict[str, bytes]) -> dict[str, Any]:
    with Archive(write_archive(path, files)) as archive:
        dataset = load_dataset(archive)
        findings = {}
        for split, images in dataset.splits.items():
            data = [archive.read(image.name) for image in images]
            findings[split] = inspect(data, *decode(data, [image.name for image in images], SIZE))
    report = make_report("tiny", SIZE, dataset, findings)
    return json.loads(json.dumps(report, allow_nan=False))


def test_a_dataset_without_peculiarities(tmp_path: Path) -> None:
    report = report_on(tmp_path / "a.zip", members())
    assert (report["num_classes"], report["num_images"], report["image_size"]) == (3, 31, SIZE)
    train = report["splits"]["train"]
    assert train["num_images"] == 21
    assert train["images_per_class"] == {"min": 7, "max": 7, "unusual": {"count": 0, "first": []}}
    assert train["greyscale_files"] == train["single_colour"]["count"] == 0
    assert "images_per_class" not in report["splits"]["test"]
    assert all(found["contents"] == 0 for found in report["identical_files"].values())
    assert report["classes_without_words"] == ["n03"]


def test_gray_images_missing_images_and_shared_words_are_counted(tmp_path: Path) -> None:
    files = members()
    files["words.txt"] = b"n01\tcrane, bird\nn02\tcrane, machine\nn03\tcrane, bird\n"
    files["train/n01/images/n01_0.JPEG"] = jpeg(1, mode="L")
    del files["train/n01/images/n01_1.JPEG"]
    report = report_on(tmp_path / "a.zip", files)
    train = report["splits"]["train"]
    assert train["greyscale_files"] == 1
    assert train["greyscale_files_per_class"] == {"max": 1, "class": "n01"}
    assert train["images_per_class"]["unusual"]["first"] == ["n01: 6"]
    assert report["classes_of_equal_words"] == ["crane, bird: n01, n03"]
    assert report["classes_of_equal_first_word"] == ["crane: n02, n01, n03"]


def test_identical_images_are_found_within_and_between_splits(tmp_path: Path) -> None:
    files = members()
    one = files["train/n01/images/n01_0.JPEG"]
    files["train/n02/images/n02_1.JPEG"] = files["val/images/val_1.JPEG"] = files["test/images/test_0.JPEG"] = one
    files["train/n03/images/n03_1.JPEG"] = files["train/n03/images/n03_2.JPEG"]
    report = report_on(tmp_path / "a.zip", files)
    found = report["identical_files"]
    assert found["train"]["contents"] == 2
    assert found["train"]["contents_of_several_classes"] == 1
    assert found["train"]["images"] == {"train": 4}
    assert found["train"]["first"][0] == "train/n01/images/n01_0.JPEG = train/n02/images/n02_1.JPEG"
    assert found["train_and_val"]["images"] == {"train": 2, "val": 1}
    assert found["train_and_test"]["contents"] == found["val_and_test"]["contents"] == 1
    assert found["val"]["contents"] == found["test"]["contents"] == 0
    assert all(pixels["contents"] == 0 for pixels in report["identical_pixels_of_different_files"].values())


def test_equal_pixels_in_different_files_are_found(tmp_path: Path) -> None:
    files = members()
    name = "train/n01/images/n01_0.JPEG"
    files["val/images/val_1.JPEG"] = files[name] + b"\x00"
    report = report_on(tmp_path / "a.zip", files)
    assert report["identical_files"]["train_and_val"]["contents"] == 0
    assert report["identical_pixels_of_different_files"]["train_and_val"] == {
        "contents": 1,
        "contents_of_several_classes": 0,
        "images": {"train": 1, "val": 1},
        "first": [f"{name} = val/images/val_1.JPEG"],
    }


def test_lists_are_limited_and_counts_are_not(tmp_path: Path) -> None:
    files = members(train=30)
    for index in range(30):
        files[f"train/n02/images/n02_{index}.JPEG"] = files[f"train/n01/images/n01_{index}.JPEG"]
    found = report_on(tmp_path / "a.zip", files)["identical_files"]["train"]
    assert (found["contents"], len(found["first"])) == (30, 20)
