"""The splits of a dataset archive: its classes, and the images of each split with their labels."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tiny_imagenet.archive.zip_archive import IDENTIFIER, REPAIR, Archive
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.classes import NO_LABEL, Class
from tiny_imagenet.records.tables import read_table


class Image(NamedTuple):
    """An image of the archive: its path relative to the archive's root, and its label."""

    name: str
    label: int


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The classes by label, and the images of each split in order."""

    classes: tuple[Class, ...]
    splits: dict[str, list[Image]]


def load_dataset(archive: Archive) -> Dataset:
    """Reads the class and label files of an archive and compares them with its images.

    Returns:
        The splits `train`, `val` and, if the archive has it, `test`; images in natural order (2 before 10).

    Raises:
        InputError: A class or a file is missing or does not agree with the images.
    """
    classes = _read_classes(archive)
    labels = {item.wnid: label for label, item in enumerate(classes)}
    folders = defaultdict(list)
    for name in archive.names:
        folder, slash, _ = name.rpartition("/images/")
        if slash:
            folders[folder].append(name)
    for names in folders.values():
        names.sort(key=_natural_order)
    splits = {"train": _train_images(archive, folders, labels), "val": _val_images(archive, folders["val"], labels)}
    if folders["test"]:
        splits["test"] = [Image(name, NO_LABEL) for name in folders["test"]]
    return Dataset(classes, splits)


def hold_out(dataset: Dataset, per_class: int, seed: int) -> Dataset:
    """Moves `per_class` random train images of each class to a new split `holdout`; 0 adds no split.

    Raises:
        InputError: A class has no more images than `per_class`.
    """
    if per_class == 0:
        return dataset
    generator = np.random.default_rng([seed, 1])
    chosen: set[Image] = set()
    for label, images in sorted(_by_label(dataset.splits["train"]).items()):
        if len(images) <= per_class:
            what = f"is {per_class}, and class {dataset.classes[label].wnid} has only {len(images)} train images"
            raise InputError("preprocess.holdout_per_class", what, f"choose less than {len(images)}")
        chosen.update(images[index] for index in generator.choice(len(images), per_class, replace=False))
    train = [image for image in dataset.splits["train"] if image not in chosen]
    holdout = [image for image in dataset.splits["train"] if image in chosen]
    return Dataset(dataset.classes, dataset.splits | {"train": train, "holdout": holdout})


def shuffle_train(dataset: Dataset, seed: int) -> Dataset:
    """Shuffles the train images across the classes."""
    train = dataset.splits["train"]
    order = np.random.default_rng([seed, 0]).permutation(len(train))
    return Dataset(dataset.classes, dataset.splits | {"train": [train[index] for index in order]})


def _read_classes(archive: Archive) -> tuple[Class, ...]:
    where = f"{archive.path}: wnids.txt"
    wnids = []
    for line, (wnid,) in read_table(archive, "wnids.txt", 1):
        if not IDENTIFIER.fullmatch(wnid):
            raise InputError(where, f"line {line}: {wnid!r} is no class id", "use letters, digits, '_', '-' and '.'")
        wnids.append(wnid)
    if not wnids:
        raise InputError(where, "names no class", REPAIR)
    words = {wnid: text for _, (wnid, text) in read_table(archive, "words.txt", 2)}
    return tuple(Class(wnid, words.get(wnid) or wnid) for wnid in wnids)


def _train_images(archive: Archive, folders: dict[str, list[str]], labels: dict[str, int]) -> list[Image]:
    for folder in folders:
        part, _, wnid = folder.partition("/")
        if part == "train" and wnid not in labels:
            raise InputError(f"{archive.path}: {folder}", "is not a class of wnids.txt", REPAIR)
    images = []
    for wnid, label in labels.items():
        names = folders.get(f"train/{wnid}", [])
        if not names:
            raise InputError(
                f"{archive.path}: train/{wnid}/images", "holds no image of this class of wnids.txt", REPAIR
            )
        images += [Image(name, label) for name in names]
    return images


def _val_images(archive: Archive, names: list[str], labels: dict[str, int]) -> list[Image]:
    where = f"{archive.path}: val/val_annotations.txt"
    rows = read_table(archive, "val/val_annotations.txt", 2)
    wnids = {f"val/images/{file}": wnid for _, (file, wnid) in rows}
    if not names:
        raise InputError(f"{archive.path}: val/images", "holds no image", REPAIR)
    for name, wnid in wnids.items():
        if wnid not in labels:
            raise InputError(where, f"gives {name} the class {wnid!r}, which is not in wnids.txt", REPAIR)
    if unknown := wnids.keys() - set(names):
        raise InputError(where, f"names {min(unknown)}, which is not in the archive", REPAIR)
    if missing := set(names) - wnids.keys():
        raise InputError(where, f"has no line for {min(missing)}", REPAIR)
    return [Image(name, labels[wnids[name]]) for name in names]


def _by_label(images: Iterable[Image]) -> dict[int, list[Image]]:
    groups = defaultdict(list)
    for image in images:
        groups[image.label].append(image)
    return groups


def _natural_order(name: str) -> list[str | int]:
    """Returns the sort key of a name within its folder: digits compare as numbers."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name.rpartition("/")[2])]
