"""The command `tiny-imagenet pack`: makes a dataset from folders of pictures."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

from tiny_imagenet.cli.class_folders import Pictures
from tiny_imagenet.cli.pack_archive import write_archive
from tiny_imagenet.cli.picture_splits import find_splits
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.field_types import MAX_NAME_LENGTH, is_name
from tiny_imagenet.core.files import require_replaceable, sha256_of
from tiny_imagenet.dataset.text import printable

HELP = "make a dataset for the pipeline from a folder that holds a folder of pictures for each class"
EPILOG = (
    "Pictures may have any size and most formats. Each is turned upright, cropped to its central square and resized."
)
MAX_SIZE = 2048  # pixels; the limit of the stage preprocess
USAGE = """Add to `datasets:` in params.yaml

  {name}:
    sha256: {sha256}

and run

  TINY_IMAGENET_ARCHIVE={archive} dvc exp run -S dataset={name}{few}
"""
FEW = 2_500  # train images: ten batches of the recipes with the largest
SMALL_BATCH = 25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    text = "holds a folder of pictures for each class; or train and val folders, and perhaps test, that hold these"
    parser.add_argument("folder", type=Path, metavar="FOLDER", help=text)
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
    require_replaceable(out)
    splits = find_splits(arguments.folder, arguments.val, arguments.val_fraction, arguments.seed)
    write_archive(out, splits, size, arguments.folder)
    counts = f"{_count(splits.train):,} train and {_count(splits.val):,} val"
    if splits.test:
        counts = f"{_count(splits.train):,} train, {_count(splits.val):,} val and {len(splits.test):,} test"
    print(f"{out}: {len(splits.train)} classes, {counts} images of {size} x {size} pixels")
    print("".join(f"note: {printable(line)}\n" for line in splits.notes))
    name, archive = _dataset_name(out), shlex.quote(str(out.resolve()))
    train = _count(splits.train)
    few = f" -S batch_size={min(SMALL_BATCH, train)}" if train < FEW else ""
    print(USAGE.format(name=name, sha256=sha256_of(out), archive=archive, few=few), end="")
    return 0


def _count(pictures: Pictures) -> int:
    return sum(map(len, pictures.values()))


def _dataset_name(out: Path) -> str:
    """Returns the archive's name as a dataset's name that params.yaml accepts."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", out.stem)[: MAX_NAME_LENGTH - len("dataset-")]
    return name if is_name(name) else f"dataset-{name}"
