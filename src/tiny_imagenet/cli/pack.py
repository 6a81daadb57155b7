"""The command `tiny-imagenet pack`: makes a dataset from folders of pictures."""

from __future__ import annotations

import argparse
import functools
import io
import re
import shlex
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
from tqdm import tqdm

from tiny_imagenet.archive.zip_archive import Archive
from tiny_imagenet.cli.picture_files import find_pictures
from tiny_imagenet.cli.pictures import read_picture
from tiny_imagenet.core.disk import disk_errors
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import atomic_write, sha256_of
from tiny_imagenet.records.splits import load_dataset

HELP = "make a dataset for the pipeline from a folder that holds a folder of pictures for each class"
EPILOG = (
    "Pictures may have any size and most formats. Each is turned upright, cropped to its central square and resized."
)
ROOT = "dataset"  # the archive's top folder
IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # class ids that the archive's layout allows
DATE = (1980, 1, 1, 0, 0, 0)  # of all members, so that equal pictures give equal bytes; a zip's earliest date
MAX_SIZE = 2048  # pixels; the limit of the stage preprocess
USAGE = """Add to `datasets:` in params.yaml

  {name}:
    sha256: {sha256}

and run

  TINY_IMAGENET_ARCHIVE={archive} dvc exp run -S dataset={name}
"""

Pictures = Mapping[str, Sequence[Path]]  # by class, the name of its folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="holds a folder of pictures for each class")
    parser.add_argument("out", type=Path, metavar="OUT.zip", help="the dataset, in Tiny ImageNet's layout")
    parser.add_argument("--image-size", type=int, default=64, metavar="PIXELS", help="width and height; default: 64")
    text = "the fraction of each class that becomes val rather than train; default: 0.2"
    parser.add_argument("--val-fraction", type=float, default=0.2, metavar="FRACTION", help=text)
    parser.add_argument("--seed", type=int, default=0, help="of the random choice of val pictures; default: 0")
    text = "a second folder of class folders, which becomes val; all of FOLDER becomes train"
    parser.add_argument("--val", type=Path, metavar="FOLDER", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Writes the archive, completely or not at all, and prints how to use it."""
    size, out = arguments.image_size, arguments.out
    if not 1 <= size <= MAX_SIZE:
        raise InputError("--image-size", f"is {size}", f"choose 1 to {MAX_SIZE}")
    train, val = _splits(arguments.folder, arguments.val, arguments.val_fraction, arguments.seed)
    _write(out, train, val, size)
    num_train, num_val = (sum(map(len, pictures.values())) for pictures in (train, val))
    print(f"{out}: {len(train)} classes, {num_train:,} train and {num_val:,} val images of {size} x {size} pixels\n")
    name, archive = _dataset_name(out), shlex.quote(str(out.resolve()))
    print(USAGE.format(name=name, sha256=sha256_of(out), archive=archive), end="")
    return 0


def _find_classes(folder: Path) -> dict[str, list[Path]]:
    """Returns the pictures of each folder in a folder, by the folder's name, both sorted."""
    if not folder.is_dir():
        raise InputError(folder, "is not a folder", "name a folder of folders of pictures")
    folders = sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    return {each.name: find_pictures(each) for each in folders}


def _splits(folder: Path, val_folder: Path | None, fraction: float, seed: int) -> tuple[Pictures, Pictures]:
    """Returns the train and the val pictures; train has every class."""
    classes = _find_classes(folder)
    if len(classes) < 2:
        raise InputError(folder, "holds fewer than two class folders", "name a folder of folders of pictures")
    if val_folder is None:
        return _split_at_random(classes, fraction, seed)
    val = _find_classes(val_folder)
    if unknown := val.keys() - classes.keys():
        raise InputError(val_folder / min(unknown), f"is not a class of {folder}", "rename or remove it")
    return classes, val


def _split_at_random(classes: Pictures, fraction: float, seed: int) -> tuple[Pictures, Pictures]:
    """Splits each class at random into train and val, each with at least one picture."""
    if not 0 < fraction < 1:
        raise InputError("--val-fraction", f"is {fraction}", "choose a number between 0 and 1")
    if seed < 0:
        raise InputError("--seed", f"is {seed}", "choose 0 or more")
    train, val = {}, {}
    for index, (name, pictures) in enumerate(classes.items()):
        total = len(pictures)
        if total < 2:
            raise InputError(pictures[0].parent, "holds a single picture", "add one: train and val need one each")
        count = min(max(round(total * fraction), 1), total - 1)
        chosen = set(np.random.default_rng([seed, index]).choice(total, count, replace=False).tolist())
        val[name] = [each for at, each in enumerate(pictures) if at in chosen]
        train[name] = [each for at, each in enumerate(pictures) if at not in chosen]
    return train, val


def _dataset_name(out: Path) -> str:
    """Returns the archive's name as a dataset's name in params.yaml, without characters that are invalid there."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", out.stem)
    return name if name[:1].isalpha() else f"dataset-{name}"


def _write(out: Path, train: Pictures, val: Pictures, size: int) -> None:
    """Writes the archive and validates its layout; the bytes depend only on the pictures and library versions."""
    ids = {name: name if IDENTIFIER.fullmatch(name) else f"class-{label}" for label, name in enumerate(train)}
    members = _train_members(train, ids) | _val_members(val)
    with disk_errors(out, len(members) * size**2), atomic_write(out) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for name, text in _lists(val, ids).items():
                _add(archive, name, text.encode(errors="replace"))
            for name, data in _jpegs(members, size):
                _add(archive, name, data)
        with Archive(temporary) as written:
            load_dataset(written)


def _train_members(train: Pictures, ids: Mapping[str, str]) -> dict[str, Path]:
    """Returns the picture of each train member, by the member's name."""
    return {
        f"train/{ids[name]}/images/{ids[name]}_{number}.JPEG": path
        for name, pictures in train.items()
        for number, path in enumerate(pictures)
    }


def _val_members(val: Pictures) -> dict[str, Path]:
    """Returns the picture of each val member, by the member's name."""
    pictures = (path for each in val.values() for path in each)
    return {f"val/images/val_{number}.JPEG": path for number, path in enumerate(pictures)}


def _lists(val: Pictures, ids: Mapping[str, str]) -> dict[str, str]:
    """Returns the text files of the archive: classes, their words, and the labels of val."""
    words = {name: " ".join(name.split()) for name in ids}
    labels = [ids[name] for name, pictures in val.items() for _ in pictures]
    return {
        "wnids.txt": "".join(f"{each}\n" for each in ids.values()),
        "words.txt": "".join(f"{each}\t{words[name]}\n" for name, each in ids.items()),
        "val/val_annotations.txt": "".join(f"val_{number}.JPEG\t{each}\n" for number, each in enumerate(labels)),
    }


def _jpegs(members: Mapping[str, Path], size: int) -> Iterator[tuple[str, bytes]]:
    """Yields each member's name and JPEG; prints an error for every unreadable picture, then fails."""
    unreadable = 0
    with ThreadPoolExecutor() as threads:
        jpegs = threads.map(functools.partial(_jpeg, size=size), members.values())
        pairs = zip(members, jpegs, strict=True)
        for name, data in tqdm(pairs, total=len(members), unit=" images", leave=False, disable=None):
            if isinstance(data, InputError):
                print(f"error: pack: {data}", file=sys.stderr)
                unreadable += 1
            else:
                yield name, data
    if unreadable:
        raise InputError(f"{unreadable} of {len(members)} files", "cannot be read, see above", "remove or replace them")


def _jpeg(path: Path, size: int) -> bytes | InputError:
    """Returns a picture as a JPEG of size x size pixels and high quality."""
    try:
        image = PIL.Image.fromarray(read_picture(path, size))
    except InputError as error:
        return error
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(f"{ROOT}/{name}", DATE)
    info.external_attr = 0o644 << 16
    archive.writestr(info, data)
