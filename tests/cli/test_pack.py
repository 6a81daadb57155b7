"""`tiny-imagenet pack` makes an archive that the pipeline reads, with the same bytes each time."""

import errno
import os
import re
import time
import unicodedata
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
from tiny_imagenet.records.splits import Dataset, load_dataset

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
    assert (
        f"TINY_IMAGENET_ARCHIVE='{tmp_path / 'my pictures.zip'}' dvc exp run -S dataset=my-pictures -S batch_size="
        in out
    )


def test_the_name_is_valid_in_params_yaml(folder: Path, tmp_path: Path, pack) -> None:
    for file, name in (
        ("2024.zip", "dataset-2024"),
        ("Äpfel & Birnen.zip", "dataset--pfel-Birnen"),
        ("a.b.zip", "a-b"),  # DVC would read a dot as the key of a key
        ("Yes.zip", "dataset-Yes"),
        ("null.zip", "dataset-null"),
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


def class_folders(root: Path, *names: str, count: int = 3) -> Path:
    """Writes a folder of JPEGs for each class."""
    for index, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for number in range(count):
            picture(100 * index + number).save(root / name / f"{number}.jpg")
    return root


def packed(path: Path) -> Dataset:
    with Archive(path) as archive:
        return load_dataset(archive)


def counts_of(path: Path) -> dict[str, int]:
    return {split: len(images) for split, images in packed(path).splits.items()}


def test_files_that_are_left_out_are_counted(tmp_path: Path, pack) -> None:
    root = class_folders(tmp_path / "pictures", "cats", "dogs")
    for name in ("cats/IMG_1.HEIC", "cats/more/IMG_2.heic", "dogs/Thumbs.db", "dogs/README", "list.csv", "loose.jpg"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"")
    (root / "dogs" / "linked").symlink_to(root / "cats")
    (root / "cats" / ".DS_Store").write_bytes(b"")
    status, out, _ = pack(root, tmp_path / "mine.zip")
    assert status == 0
    assert (
        f"note: {root}: left out 5 files that are no pictures by their suffix (2 .heic, 2 other, 1 .db), "
        "such as cats/IMG_1.HEIC; convert pictures of other formats to JPEG or PNG\n"
    ) in out
    assert f"note: {root}: left out 1 .csv, 1 .jpg beside the folders\n" in out


def test_a_class_without_pictures_names_its_other_files(tmp_path: Path, pack) -> None:
    root = class_folders(tmp_path / "pictures", "cats", "dogs")
    (root / "mice").mkdir()
    (root / "mice" / "a.heic").touch()
    status, _, err = pack(root, tmp_path / "mine.zip")
    assert status == 2
    assert f"{root / 'mice'}: holds no picture, only 1 .heic files; " in err


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Train", "VALID", "Testing"), ("training", "validation")])
def test_folders_of_splits_are_the_splits(tmp_path: Path, pack, names: tuple[str, ...]) -> None:
    for name, count in zip(names, (4, 2, 1), strict=False):
        class_folders(tmp_path / "pictures" / name, "cats", "dogs", count=count)
    status, out, _ = pack(tmp_path / "pictures", tmp_path / "mine.zip", "--val-fraction", "0.5")
    assert status == 0
    dataset = packed(tmp_path / "mine.zip")
    assert [each.words for each in dataset.classes] == ["cats", "dogs"]
    expected = {"train": 8, "val": 4, "test": 2}
    assert counts_of(tmp_path / "mine.zip") == {split: expected[split] for split in list(expected)[: len(names)]}
    assert ("8 train, 4 val and 2 test images" in out) == ("2 test" in out) == (len(names) == 3)
    assert ("its pictures become the test split, which has no labels" in out) == (len(names) == 3)


@pytest.mark.parametrize("names", [("train", "test"), ("train",)])
def test_without_a_folder_for_val_it_is_a_random_choice(tmp_path: Path, pack, names: tuple[str, ...]) -> None:
    for name in names:
        class_folders(tmp_path / "pictures" / name, "cats", "dogs", count=4)
    pack(tmp_path / "pictures", tmp_path / "mine.zip", "--val-fraction", "0.25")
    assert counts_of(tmp_path / "mine.zip") == {"train": 6, "val": 2} | ({"test": 8} if "test" in names else {})


@pytest.mark.parametrize(
    ("folders", "words", "message"),
    [
        (["train/cats", "val/cats", "mice"], [], "holds folders of splits (train, val) and others (mice)"),
        (["test/cats", "val/cats"], [], "holds val, test; name one folder train"),
        (["train/cats", "val/cats", "valid/cats"], [], "holds train, val, valid; name one folder train"),
        (["train", "val", "test"], [], "train: holds fewer than two class folders"),
        (["train/cats", "train/dogs", "val"], [], "val: holds no class folder"),
        (["train/cats", "train/dogs", "val/mice"], [], "mice: is not a class of"),
        (["train/cats", "train/dogs", "val/cats"], ["--val", "more"], "--val: is more, and"),
        (["cats/train", "cats/val", "dogs"], [], "cats: holds folders of splits; put these outside: train/CLASS"),
    ],
)
def test_ambiguous_folders_are_refused_in_one_line(tmp_path: Path, pack, folders, words, message) -> None:
    root = class_folders(tmp_path / "pictures", *folders)
    status, out, err = pack(root, tmp_path / "mine.zip", *words)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert message in err
    assert str(root) in err
    assert not (tmp_path / "mine.zip").exists()


def test_one_class_with_the_name_of_a_split_is_a_class(tmp_path: Path, pack) -> None:
    pack(class_folders(tmp_path / "vehicles", "bus", "train"), tmp_path / "mine.zip")
    assert [each.words for each in packed(tmp_path / "mine.zip").classes] == ["bus", "train"]


def test_names_that_file_systems_take_for_equal_are_one_class(tmp_path: Path, pack) -> None:
    composed, decomposed = "Käse", unicodedata.normalize("NFD", "Käse")
    root = class_folders(tmp_path / "pictures", composed, decomposed, "a b", "a  b ", "dogs")
    val = class_folders(tmp_path / "val", decomposed, "A b", "Dogs", count=1)
    status, out, _ = pack(root, tmp_path / "mine.zip", "--val", val)
    assert status == 0
    dataset = packed(tmp_path / "mine.zip")
    assert [each.words for each in dataset.classes] == [composed, "a b", "dogs"]  # K is before a
    by_name = {each.words: label for label, each in enumerate(dataset.classes)}
    labels = [image.label for image in dataset.splits["train"]]
    assert [labels.count(by_name[name]) for name in (composed, "a b", "dogs")] == [6, 6, 3]
    assert sorted(image.label for image in dataset.splits["val"]) == [0, 1, 2]
    assert "2 folders with the name 'Käse' are one class" in out
    assert "2 folders with the name 'a b' are one class" in out


def test_names_that_differ_in_case_are_two_classes_of_train(tmp_path: Path, pack) -> None:
    root = class_folders(tmp_path / "letters", "A", "a", "b")
    val = class_folders(tmp_path / "val", "A", "B", count=1)
    status, out, _ = pack(root, tmp_path / "mine.zip", "--val", val)
    assert status == 0
    assert [each.words for each in packed(tmp_path / "mine.zip").classes] == ["A", "a", "b"]
    assert [image.label for image in packed(tmp_path / "mine.zip").splits["val"]] == [0, 2]
    assert f"note: {val}: has no picture of 1 of 3 classes (a); add some to measure these\n" in out
    class_folders(val, "b", count=1)  # beside B
    status, _, err = pack(root, tmp_path / "mine.zip", "--val", val)
    assert (status, "B: is not a class of" in err) == (2, True)


def test_a_made_up_id_is_no_class_of_the_user(tmp_path: Path, pack) -> None:
    root = class_folders(tmp_path / "pictures", "a b", "class-0", "class-0_", "Class-3", "x y", "z" * 230)
    assert pack(root, tmp_path / "mine.zip").status == 0
    classes = packed(tmp_path / "mine.zip").classes
    assert [(each.wnid, each.words) for each in classes] == [
        ("Class-3", "Class-3"),
        ("class-1", "a b"),
        ("class-0", "class-0"),
        ("class-0_", "class-0_"),
        ("class-4", "x y"),
        ("class-5", "z" * 230),
    ]
    root = class_folders(tmp_path / "more", "a b", "class-0", "class-0_")
    pack(root, tmp_path / "more.zip")
    assert [each.wnid for each in packed(tmp_path / "more.zip").classes] == ["class-0__", "class-0", "class-0_"]


def test_control_characters_of_folders_are_not_printed(tmp_path: Path, pack) -> None:
    root = class_folders(tmp_path / "pictures", "cats", "a\x1b[2Jb")
    (root / "a\x1b[2Jb" / "\x1b[31m.txt").touch()
    (root / "a\x1b[2Jb" / "\x1b[32m.jpg").touch()
    results = [pack(root, tmp_path / "mine.zip")]
    (root / "a\x1b[2Jb" / "\x1b[32m.jpg").unlink()
    results.append(pack(root, tmp_path / "mine.zip"))
    assert [each.status for each in results] == [2, 0]
    assert not any("\x1b" in each.out + each.err for each in results)
    assert packed(tmp_path / "mine.zip").classes[0].words == r"a\x1b[2Jb"


def test_an_error_names_the_folder_or_the_archive(tmp_path: Path, pack, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = class_folders(tmp_path / "pictures", "cats", "dogs"), tmp_path / "mine.zip"
    monkeypatch.setattr("tiny_imagenet.cli.pack_archive.MAX_INFLATED_BYTES", 3000)
    assert f"error: pack: {root}: needs more than 3,000 bytes at 24 x 24 pixels" in pack(root, out).err
    monkeypatch.setattr("tiny_imagenet.cli.pack_archive.MAX_MEMBERS", 8)
    assert f"error: pack: {root}: holds 6 pictures, an archive has at most 8 files" in pack(root, out).err
    monkeypatch.undo()
    monkeypatch.setattr("tiny_imagenet.archive.zip_archive.MAX_INFLATED_BYTES", 3000)
    error = pack(root, out).err
    assert error.startswith(f"error: pack: {out}: ")
    assert "temporary" not in error
    assert not out.exists()


@pytest.mark.parametrize("full_disk", [True, False])
def test_after_a_failure_no_more_pictures_are_decoded(
    tmp_path: Path, pack, monkeypatch: pytest.MonkeyPatch, full_disk: bool
) -> None:
    root, decoded = class_folders(tmp_path / "pictures", "cats", "dogs", count=100), []

    def read_slowly(path: Path, size: int) -> np.ndarray:
        decoded.append(path)
        time.sleep(0.01)
        return read_picture(path, size)

    def fill_disk(_: object, info: zipfile.ZipInfo, data: bytes) -> None:
        if info.filename.endswith(".JPEG"):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tiny_imagenet.cli.pack_archive.read_picture", read_slowly)
    if full_disk:
        monkeypatch.setattr("zipfile.ZipFile.writestr", fill_disk)
    else:
        monkeypatch.setattr("tiny_imagenet.cli.pack_archive.MAX_INFLATED_BYTES", 3000)
    assert pack(root, tmp_path / "mine.zip").status == (1 if full_disk else 2)
    assert 0 < len(decoded) < 150


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
        (lambda folder: (folder.parent / "mine.zip").mkdir(), [], "mine.zip: is a folder; name a file"),
    ],
)
def test_wrong_input(folder: Path, tmp_path: Path, run, spoil, words, message) -> None:
    spoil(folder)
    status, out, err = run("pack", folder, tmp_path / "mine.zip", *words)
    assert (status, out) == (2, "")
    assert message in err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.parametrize("out", [".", "", "made"])
def test_a_folder_as_the_archive_is_refused_before_any_picture_is_read(
    folder: Path, tmp_path: Path, pack, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made").mkdir()
    for path in folder.glob("*/*.jpg"):
        path.write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    status, _, err = pack(folder, out)
    assert (status, err) == (2, f"error: pack: {out or '.'}: is a folder; name a file\n")


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
