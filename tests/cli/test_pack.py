"""`tiny-imagenet pack` makes an archive that the pipeline reads, with the same bytes each time."""

import os
import re
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import yaml
from tests.support.tiny_records import shrunk_params, write_params

from tiny_imagenet.archive.verification import verify
from tiny_imagenet.archive.zip_archive import Archive
from tiny_imagenet.cli.pictures import read_picture
from tiny_imagenet.core.params import load_params
from tiny_imagenet.records.jpeg import decode
from tiny_imagenet.records.splits import load_dataset

SIZE = 24
COUNTS = {"cats": 10, "Große Hunde, alle": 5, "n01443537": 2}


def picture(seed: int, mode: str = "RGB") -> PIL.Image.Image:
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    size = tuple(generator.integers(20, 90, 2).tolist())
    return PIL.Image.fromarray(small).resize(size, PIL.Image.Resampling.BICUBIC).convert(mode)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Writes three classes of pictures in many formats, and unrelated files beside them."""
    folder, seed = tmp_path / "pictures", 0
    kinds = [("RGB", "jpg"), ("RGBA", "png"), ("L", "jpeg"), ("P", "gif"), ("CMYK", "JPG")]
    for name, count in COUNTS.items():
        (folder / name / "more").mkdir(parents=True)
        for number in range(count):
            mode, suffix = kinds[number % len(kinds)]
            place = folder / name / "more" if number % 2 else folder / name
            picture(seed, mode).save(place / f"photo {number}.{suffix}")
            seed += 1
        (folder / name / "Thumbs.db").write_bytes(b"not a picture")
    (folder / ".hidden").mkdir()
    (folder / "notes.txt").write_text("not a class")
    return folder


@pytest.fixture
def pack(run):
    return lambda *words: run("pack", *words, "--image-size", SIZE)


def test_preprocess_reads_the_archive(folder: Path, tmp_path: Path, pack) -> None:
    assert pack(folder, tmp_path / "mine.zip", "--val-fraction", 0.2).status == 0
    with Archive(tmp_path / "mine.zip") as archive:
        dataset = load_dataset(archive)
        names = [image.name for images in dataset.splits.values() for image in images]
        _, grayscale = decode([archive.read(name) for name in names], names, SIZE)
    assert len(names) == sum(COUNTS.values())
    assert not grayscale.any()
    assert [(each.wnid, each.words) for each in dataset.classes] == [
        ("class-0", "Große Hunde, alle"),
        ("cats", "cats"),
        ("n01443537", "n01443537"),
    ]
    counts = {
        split: np.bincount([image.label for image in images]).tolist() for split, images in dataset.splits.items()
    }
    assert counts == {"train": [4, 8, 1], "val": [1, 2, 1]}


def test_the_images_are_those_that_predict_reads(folder: Path, tmp_path: Path, pack) -> None:
    pack(folder, tmp_path / "mine.zip")
    paths = sorted(path for path in (folder / "cats").rglob("photo*"))
    pictures = np.stack([read_picture(path, SIZE) for path in paths]).astype(int)
    with Archive(tmp_path / "mine.zip") as archive:
        dataset = load_dataset(archive)
        images = [image for split in dataset.splits.values() for image in split if image.label == 1]
        pixels, _ = decode([archive.read(image.name) for image in images], ["image"] * len(images), SIZE)
    nearest = [int(np.abs(pictures - each).mean(axis=(1, 2, 3)).argmin()) for each in pixels]
    assert sorted(nearest) == list(range(COUNTS["cats"]))  # each picture, once
    assert max(np.abs(pictures[at] - each).mean() for at, each in zip(nearest, pixels, strict=True)) < 5


def test_equal_pictures_give_equal_bytes(folder: Path, tmp_path: Path, pack) -> None:
    first, again, other = (tmp_path / name for name in ("first.zip", "again.zip", "other.zip"))
    pack(folder, first)
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    pack(folder, again)
    pack(folder, other, "--seed", 1)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.zip", "first.zip", "other.zip", "pictures"]


def test_the_printed_lines_work_in_params_yaml(folder: Path, tmp_path: Path, pack) -> None:
    out = pack(folder, tmp_path / "my pictures.zip").out
    lines = re.search(r"^( +my-pictures:\n +sha256: [0-9a-f]{64}\n)", out, re.MULTILINE).group(1)
    params = shrunk_params(dataset="my-pictures")
    params["datasets"] |= yaml.safe_load(lines)
    write_params(tmp_path, params)
    assert load_params(tmp_path / "params.yaml").dataset_name == "my-pictures"
    verify(tmp_path / "my pictures.zip", params["datasets"]["my-pictures"]["sha256"])
    assert out.startswith(f"{tmp_path / 'my pictures.zip'}: 3 classes, 13 train and 4 val images of 24 x 24 pixels\n")
    assert f"TINY_IMAGENET_ARCHIVE='{tmp_path / 'my pictures.zip'}' dvc exp run -S dataset=my-pictures" in out


def test_the_name_is_valid_in_params_yaml(folder: Path, tmp_path: Path, pack) -> None:
    for file, name in (
        ("2024.zip", "dataset-2024"),
        ("Äpfel & Birnen.zip", "dataset--pfel-Birnen"),
        ("a.b.zip", "a.b"),
    ):
        assert f"\n  {name}:\n" in pack(folder, tmp_path / file).out


def test_a_separate_val_folder(folder: Path, tmp_path: Path, pack) -> None:
    for name in ("cats", "n01443537"):
        (tmp_path / "val" / name).mkdir(parents=True)
        picture(99).save(tmp_path / "val" / name / "a.png")
    pack(folder, tmp_path / "mine.zip", "--val", tmp_path / "val")
    with Archive(tmp_path / "mine.zip") as archive:
        splits = load_dataset(archive).splits
    assert [image.label for image in splits["val"]] == [1, 2]
    assert len(splits["train"]) == sum(COUNTS.values())


def test_every_unreadable_picture_is_reported(folder: Path, tmp_path: Path, pack) -> None:
    broken = [folder / "cats" / "a.png", folder / "n01443537" / "b.jpg"]
    for path in broken:
        path.write_bytes(b"no picture")
    (tmp_path / "mine.zip").write_bytes(b"former")
    status, _, err = pack(folder, tmp_path / "mine.zip")
    *errors, last = err.splitlines()
    assert status == 2
    assert sorted(line.split(": ")[2] for line in errors) == [str(path) for path in broken]
    assert last == "error: pack: 2 of 19 files: cannot be read, see above; remove or replace them"
    assert (tmp_path / "mine.zip").read_bytes() == b"former"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.zip", "pictures"]


@pytest.mark.parametrize(
    ("spoil", "words", "message"),
    [
        (lambda folder: (folder / "empty").mkdir(), [], "empty: holds no picture"),
        (lambda folder: [path.unlink() for path in (folder / "n01443537" / "more").iterdir()], [], "a single picture"),
        (lambda folder: None, ["--val-fraction", "1"], "--val-fraction: is 1.0; choose a number between 0 and 1"),
        (lambda folder: None, ["--val-fraction", "nan"], "--val-fraction: is nan"),
        (lambda folder: None, ["--image-size", "0"], "--image-size: is 0; choose 1 to 2048"),
        (lambda folder: None, ["--seed", "-1"], "--seed: is -1"),
        (lambda folder: None, ["--val", "absent"], "absent: is not a folder"),
        (lambda folder: (folder.parent / "mine.zip").mkdir(), [], "mine.zip: cannot be written"),
    ],
)
def test_wrong_input(folder: Path, tmp_path: Path, run, spoil, words, message) -> None:
    spoil(folder)
    status, out, err = run("pack", folder, tmp_path / "mine.zip", *words)
    assert (status, out) == (1 if "cannot be written" in message else 2, "")
    assert message in err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_a_wrong_folder(folder: Path, tmp_path: Path, pack) -> None:
    for wrong in (folder / "cats", folder / "notes.txt", tmp_path / "absent"):
        status, _, err = pack(wrong, tmp_path / "mine.zip")
        assert status == 2
        assert re.search(r"is not a folder|fewer than two class folders", err)
    (tmp_path / "val" / "mice").mkdir(parents=True)
    picture(1).save(tmp_path / "val" / "mice" / "a.png")
    status, _, err = pack(folder, tmp_path / "mine.zip", "--val", tmp_path / "val")
    assert status == 2
    assert "mice: is not a class of" in err


def test_members_are_stored_uncompressed_with_a_fixed_date(folder: Path, tmp_path: Path, pack) -> None:
    pack(folder, tmp_path / "mine.zip")
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        infos = archive.infolist()
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED}
