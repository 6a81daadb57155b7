"""The command that makes a dataset of folders of pictures: `python -m tiny_imagenet.cli.pack --help`."""

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
from tiny_imagenet.cli.pictures import find_pictures, read_picture
from tiny_imagenet.core.disk import disk_errors
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import atomic_write, sha256_of
from tiny_imagenet.core.process import command_process
from tiny_imagenet.records.splits import load_dataset

ROOT = "dataset"  # the archive's top folder
IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # what the archive's layout takes as a class's name
DATE = (1980, 1, 1, 0, 0, 0)  # the oldest that a zip can hold; fixed, so that the bytes are
MAX_SIZE = 2048  # pixels a side: what preprocess takes
ADVICE = """{path}: {num_classes} classes, {train:,} train and {val:,} val images of {size} x {size} pixels

Add to `datasets:` in params.yaml

  {name}:
    sha256: {sha256}

and run

  TINY_IMAGENET_ARCHIVE={absolute} dvc exp run -S dataset={name}
"""

Pictures = Mapping[str, Sequence[Path]]  # of each class, by its folder's name


def main(words: Sequence[str] | None = None) -> int:
    """Writes the zip, whole or not at all, and says what to do with it."""
    arguments = _parser().parse_args(words)
    size, out = arguments.image_size, arguments.out
    if not 1 <= size <= MAX_SIZE:
        raise InputError("--image-size", f"is {size}", f"choose 1 to {MAX_SIZE}")
    train, val = _splits(arguments.folder, arguments.val, arguments.val_fraction, arguments.seed)
    _write(out, train, val, size)
    about = {
        "name": _dataset_name(out),
        "sha256": sha256_of(out),
        "num_classes": len(train),
        "train": sum(map(len, train.values())),
        "val": sum(map(len, val.values())),
    }
    print(ADVICE.format(path=out, size=size, absolute=shlex.quote(str(out.resolve())), **about), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tiny_imagenet.cli.pack",
        description="Makes a dataset for the pipeline of a folder with a folder of pictures for each class.",
        epilog="Any size and kind of picture: it is turned upright, cut to the square in its middle and resized.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="holds cats/, dogs/ ...: a folder a class")
    parser.add_argument("out", type=Path, metavar="OUT.zip", help="the dataset, in Tiny ImageNet's layout")
    parser.add_argument("--image-size", type=int, default=64, metavar="PIXELS", help="side of its images; default: 64")
    what = "part of each class that is validated on, not trained on; default: 0.2"
    parser.add_argument("--val-fraction", type=float, default=0.2, metavar="FRACTION", help=what)
    parser.add_argument("--seed", type=int, default=0, help="which pictures these are; default: 0")
    what = "another folder of class folders to validate on, instead of a part of FOLDER"
    parser.add_argument("--val", type=Path, metavar="FOLDER", help=what)
    return parser


def _find_classes(folder: Path) -> dict[str, list[Path]]:
    """Returns the pictures in each folder of a folder, by its name, in order."""
    if not folder.is_dir():
        raise InputError(folder, "is no folder", "name a folder of folders of pictures")
    folders = sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    return {each.name: find_pictures(each) for each in folders}


def _splits(folder: Path, val_folder: Path | None, fraction: float, seed: int) -> tuple[Pictures, Pictures]:
    """Returns the train and the val pictures, every class in train."""
    classes = _find_classes(folder)
    if len(classes) < 2:
        raise InputError(folder, "holds fewer than two class folders", "name a folder of folders of pictures")
    if val_folder is None:
        return _divide(classes, fraction, seed)
    val = _find_classes(val_folder)
    if unknown := val.keys() - classes.keys():
        raise InputError(val_folder / min(unknown), f"is no class of {folder}", "rename or remove it")
    return classes, val


def _divide(classes: Pictures, fraction: float, seed: int) -> tuple[Pictures, Pictures]:
    """Divides each class at random into train and val, at least one picture each."""
    if not 0 < fraction < 1:
        raise InputError("--val-fraction", f"is {fraction}", "choose more than 0 and less than 1")
    if seed < 0:
        raise InputError("--seed", f"is {seed}", "choose 0 or more")
    train, val = {}, {}
    for index, (name, pictures) in enumerate(classes.items()):
        total = len(pictures)
        if total < 2:
            raise InputError(
                pictures[0].parent, "holds a single picture", "add some: one is for val, the rest for train"
            )
        count = min(max(round(total * fraction), 1), total - 1)
        chosen = set(np.random.default_rng([seed, index]).choice(total, count, replace=False).tolist())
        val[name] = [each for place, each in enumerate(pictures) if place in chosen]
        train[name] = [each for place, each in enumerate(pictures) if place not in chosen]
    return train, val


def _dataset_name(out: Path) -> str:
    """Returns a name that params.yaml takes, after the archive's."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", out.stem)
    return name if name[:1].isalpha() else f"dataset-{name}"


def _write(out: Path, train: Pictures, val: Pictures, size: int) -> None:
    """Writes the archive, and reads its lists again: the same pictures and versions make the same bytes."""
    ids = {name: name if IDENTIFIER.fullmatch(name) else f"class-{label}" for label, name in enumerate(train)}
    members = _train_members(train, ids) | _val_members(val)
    with disk_errors(out, len(members) * size**2), atomic_write(out) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for name, text in _lists(val, ids).items():
                _add(archive, name, text.encode(errors="replace"))
            for name, data in _jpegs(members, size):
                _add(archive, name, data)
        with Archive(temporary) as whole:
            load_dataset(whole)


def _train_members(train: Pictures, ids: Mapping[str, str]) -> dict[str, Path]:
    """Returns the picture behind each train member's name."""
    return {
        f"train/{ids[name]}/images/{ids[name]}_{number}.JPEG": path
        for name, pictures in train.items()
        for number, path in enumerate(pictures)
    }


def _val_members(val: Pictures) -> dict[str, Path]:
    pictures = (path for each in val.values() for path in each)
    return {f"val/images/val_{number}.JPEG": path for number, path in enumerate(pictures)}


def _lists(val: Pictures, ids: Mapping[str, str]) -> dict[str, str]:
    """Returns the texts of the archive by name."""
    words = {name: " ".join(name.split()) for name in ids}
    answers = [ids[name] for name, pictures in val.items() for _ in pictures]
    return {
        "wnids.txt": "".join(f"{each}\n" for each in ids.values()),
        "words.txt": "".join(f"{each}\t{words[name]}\n" for name, each in ids.items()),
        "val/val_annotations.txt": "".join(f"val_{number}.JPEG\t{each}\n" for number, each in enumerate(answers)),
    }


def _jpegs(members: Mapping[str, Path], size: int) -> Iterator[tuple[str, bytes]]:
    """Yields each member's name and JPEG; tells of every file that is no picture before it fails."""
    faults = 0
    with ThreadPoolExecutor() as threads:
        made = threads.map(functools.partial(_jpeg, size=size), members.values())
        for name, data in tqdm(
            zip(members, made, strict=True), total=len(members), unit=" images", leave=False, disable=None
        ):
            if isinstance(data, InputError):
                print(f"error: pack: {data}", file=sys.stderr)
                faults += 1
            else:
                yield name, data
    if faults:
        raise InputError(f"{faults} of {len(members)} files", "cannot be read, see above", "remove or mend them")


def _jpeg(path: Path, size: int) -> bytes | InputError:
    """Returns a picture as a JPEG of the dataset's size, with hardly any loss."""
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


if __name__ == "__main__":
    with command_process("pack"):
        sys.exit(main())
