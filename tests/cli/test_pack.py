"""Folders of pictures become an archive that the pipeline takes, the same bytes each time, or one line says why not."""

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
from tiny_imagenet.cli.pack import main
from tiny_imagenet.cli.pictures import read_picture
from tiny_imagenet.core.errors import InputError, PipelineError
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
    """Three classes of pictures of many kinds, and things that lie about in such folders."""
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


def pack(*words: object) -> int:
    return main([*map(str, words), "--image-size", str(SIZE)])


def test_the_archive_is_what_the_pipeline_takes(folder: Path, tmp_path: Path) -> None:
    assert pack(folder, tmp_path / "mine.zip", "--val-fraction", 0.2) == 0
    with Archive(tmp_path / "mine.zip") as archive:
        dataset = load_dataset(archive)
        names = [image.name for images in dataset.splits.values() for image in images]
        _, greyscale = decode([archive.read(name) for name in names], names, SIZE)
    assert len(names) == sum(COUNTS.values())
    assert not greyscale.any()
    assert [(each.wnid, each.words) for each in dataset.classes] == [
        ("class-0", "Große Hunde, alle"),
        ("cats", "cats"),
        ("n01443537", "n01443537"),
    ]
    counts = {
        split: np.bincount([image.label for image in images]).tolist() for split, images in dataset.splits.items()
    }
    assert counts == {"train": [4, 8, 1], "val": [1, 2, 1]}


def test_the_images_are_what_predict_would_see(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "mine.zip")
    paths = sorted(path for path in (folder / "cats").rglob("photo*"))
    pictures = np.stack([read_picture(path, SIZE) for path in paths]).astype(int)
    with Archive(tmp_path / "mine.zip") as archive:
        dataset = load_dataset(archive)
        images = [image for split in dataset.splits.values() for image in split if image.label == 1]
        pixels, _ = decode([archive.read(image.name) for image in images], ["image"] * len(images), SIZE)
    nearest = [int(np.abs(pictures - each).mean(axis=(1, 2, 3)).argmin()) for each in pixels]
    assert sorted(nearest) == list(range(COUNTS["cats"]))  # each picture is there, once
    assert max(np.abs(pictures[at] - each).mean() for at, each in zip(nearest, pixels, strict=True)) < 5


def test_the_same_pictures_make_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    first, again, other = (tmp_path / name for name in ("first.zip", "again.zip", "other.zip"))
    pack(folder, first)
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    pack(folder, again)
    pack(folder, other, "--seed", 1)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.zip", "first.zip", "other.zip", "pictures"]


def test_the_advice_is_right(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack(folder, tmp_path / "my pictures.zip")
    out = capsys.readouterr().out
    lines = re.search(r"^( +my-pictures:\n +sha256: [0-9a-f]{64}\n)", out, re.MULTILINE).group(1)
    params = shrunk_params(dataset="my-pictures")
    params["datasets"] |= yaml.safe_load(lines)
    write_params(tmp_path, params)
    assert load_params(tmp_path / "params.yaml").dataset_name == "my-pictures"
    verify(tmp_path / "my pictures.zip", params["datasets"]["my-pictures"]["sha256"])
    assert out.startswith(f"{tmp_path / 'my pictures.zip'}: 3 classes, 13 train and 4 val images of 24 x 24 pixels\n")
    assert f"TINY_IMAGENET_ARCHIVE='{tmp_path / 'my pictures.zip'}' dvc exp run -S dataset=my-pictures" in out


def test_the_name_is_one_that_params_yaml_takes(folder: Path, tmp_path: Path, capsys) -> None:
    for file, name in (
        ("2024.zip", "dataset-2024"),
        ("Äpfel & Birnen.zip", "dataset--pfel-Birnen"),
        ("a.b.zip", "a.b"),
    ):
        pack(folder, tmp_path / file)
        assert f"\n  {name}:\n" in capsys.readouterr().out


def test_a_val_folder_of_ones_own(folder: Path, tmp_path: Path) -> None:
    for name in ("cats", "n01443537"):
        (tmp_path / "val" / name).mkdir(parents=True)
        picture(99).save(tmp_path / "val" / name / "a.png")
    pack(folder, tmp_path / "mine.zip", "--val", tmp_path / "val")
    with Archive(tmp_path / "mine.zip") as archive:
        splits = load_dataset(archive).splits
    assert [image.label for image in splits["val"]] == [1, 2]
    assert len(splits["train"]) == sum(COUNTS.values())


def test_every_file_that_is_no_picture_is_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = [folder / "cats" / "a.png", folder / "n01443537" / "b.jpg"]
    for path in broken:
        path.write_bytes(b"no picture")
    (tmp_path / "mine.zip").write_bytes(b"former")
    with pytest.raises(InputError, match=r"^2 of 19 files: cannot be read, see above"):
        pack(folder, tmp_path / "mine.zip")
    told = capsys.readouterr().err.splitlines()
    assert sorted(line.split(": ")[2] for line in told) == [str(path) for path in broken]
    assert (tmp_path / "mine.zip").read_bytes() == b"former"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.zip", "pictures"]


@pytest.mark.parametrize(
    ("spoil", "words", "message"),
    [
        (lambda folder: (folder / "empty").mkdir(), [], "empty: holds no picture"),
        (lambda folder: [path.unlink() for path in (folder / "n01443537" / "more").iterdir()], [], "a single picture"),
        (lambda folder: None, ["--val-fraction", "1"], "--val-fraction: is 1.0; choose more than 0 and less than 1"),
        (lambda folder: None, ["--val-fraction", "nan"], "--val-fraction: is nan"),
        (lambda folder: None, ["--image-size", "0"], "--image-size: is 0; choose 1 to 2048"),
        (lambda folder: None, ["--seed", "-1"], "--seed: is -1"),
        (lambda folder: None, ["--val", "absent"], "absent: is no folder"),
        (lambda folder: (folder.parent / "mine.zip").mkdir(), [], "mine.zip: cannot be written"),
    ],
)
def test_what_cannot_be_packed(folder: Path, tmp_path: Path, spoil, words, message) -> None:
    spoil(folder)
    with pytest.raises(PipelineError) as caught:
        main([str(folder), str(tmp_path / "mine.zip"), *words])
    assert message in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_what_is_no_folder_of_class_folders(folder: Path, tmp_path: Path) -> None:
    for wrong in (folder / "cats", folder / "notes.txt", tmp_path / "absent"):
        with pytest.raises(InputError, match=r"is no folder|fewer than two class folders"):
            pack(wrong, tmp_path / "mine.zip")
    (tmp_path / "val" / "mice").mkdir(parents=True)
    picture(1).save(tmp_path / "val" / "mice" / "a.png")
    with pytest.raises(InputError, match="mice: is no class of"):
        pack(folder, tmp_path / "mine.zip", "--val", tmp_path / "val")


def test_the_zip_is_plain(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "mine.zip")
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        infos = archive.infolist()
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED}
