"""The splits of a dataset of pictures: folders of their own, or a random choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tiny_imagenet.cli.class_folders import Classes, Pictures, find_classes, find_split_folders
from tiny_imagenet.cli.picture_files import describe_suffixes, left_out, list_folder, no_picture
from tiny_imagenet.core.errors import InputError

MAX_NAMED = 5  # classes that a note names


class Splits(NamedTuple):
    """The pictures of a dataset, and one line for each thing that may be unintended."""

    train: Pictures
    val: Pictures
    test: list[Path]
    notes: list[str]


def find_splits(folder: Path, val_folder: Path | None, fraction: float, seed: int) -> Splits:
    """Returns the pictures of each split; train has every class.

    Args:
        folder: It holds a folder for each class; or `train`, and `val` or `test` or both, which hold these.
        val_folder: A second folder of class folders, which becomes val.
        fraction: Of each class's pictures, which become val at random if there is no folder for val.
        seed: Of this choice.

    Raises:
        InputError: A folder is missing, unreadable or ambiguous, or a class has too few pictures.
    """
    parts = find_split_folders(folder)
    if val_folder is not None and "val" in parts:
        raise InputError("--val", f"is {val_folder}, and {parts['val']} is there too", "choose one of them")
    train_folder, val_folder = parts.get("train", folder), val_folder or parts.get("val")
    train = find_classes(train_folder)
    if len(train.pictures) < 2:
        raise InputError(train_folder, "holds fewer than two class folders", "name a folder of folders of pictures")
    for name, pictures in train.pictures.items():
        if not pictures:
            raise no_picture(train.folders[name][0], train.others[name])
    notes = (_beside(folder) if parts else []) + _remarks(train_folder, train)
    if val_folder is None:
        pairs = _split_at_random(train, fraction, seed)
    else:
        val = find_classes(val_folder)
        if not val.folders:
            raise InputError(val_folder, "holds no class folder", "name a folder of folders of pictures")
        pairs = train.pictures, _as_classes_of(train, val, train_folder)
        if not any(pairs[1].values()):
            raise no_picture(val_folder, _all(val.others))
        notes += _remarks(val_folder, val) + _without_val(val_folder, *pairs)
    test, test_notes = _find_test(parts.get("test"))
    return Splits(*pairs, test, notes + test_notes)


def _find_test(folder: Path | None) -> tuple[list[Path], list[str]]:
    """Returns the pictures of the test split, which has no labels, and notes on them."""
    if folder is None:
        return [], []
    pictures, others = list_folder(folder)
    notes = [f"{folder}: its pictures become the test split, which has no labels"] if pictures else []
    return pictures, notes + left_out(folder, others)


def _as_classes_of(train: Classes, val: Classes, train_folder: Path) -> Pictures:
    """Returns the val pictures of each train class; names may differ in case if just one class of each can be meant.

    Raises:
        InputError: A val folder is no class of train.
    """
    found: Pictures = {name: [] for name in train.pictures}
    alike = {each.casefold(): each for each in train.pictures}
    counts = Counter(each.casefold() for each in (*train.pictures, *val.pictures))
    for name, pictures in val.pictures.items():
        key = name.casefold()
        if name not in found and (key not in alike or counts[key] != 2):
            raise InputError(val.folders[name][0], f"is not a class of {train_folder}", "rename or remove it")
        found[name if name in found else alike[key]] += pictures
    return found


def _split_at_random(classes: Classes, fraction: float, seed: int) -> tuple[Pictures, Pictures]:
    """Splits each class at random into train and val, each with at least one picture."""
    if not 0 < fraction < 1:
        raise InputError("--val-fraction", f"is {fraction}", "choose a number between 0 and 1")
    if seed < 0:
        raise InputError("--seed", f"is {seed}", "choose 0 or more")
    train, val = {}, {}
    for index, (name, pictures) in enumerate(classes.pictures.items()):
        total = len(pictures)
        if total < 2:
            raise InputError(classes.folders[name][0], "holds a single picture", "add one: train and val need one each")
        count = min(max(round(total * fraction), 1), total - 1)
        chosen = set(np.random.default_rng([seed, index]).choice(total, count, replace=False).tolist())
        val[name] = [each for at, each in enumerate(pictures) if at in chosen]
        train[name] = [each for at, each in enumerate(pictures) if at not in chosen]
    return train, val


def _remarks(folder: Path, classes: Classes) -> list[str]:
    """Returns a line on the files that are left out, and one on each class of several folders."""
    lines = left_out(folder, _all(classes.others)) + _beside(folder)
    for name, several in classes.folders.items():
        if len(several) > 1:
            lines.append(f"{folder}: {len(several)} folders with the name {name!r} are one class")
    return lines


def _beside(folder: Path) -> list[str]:
    files = [each for each in folder.iterdir() if not each.is_dir() and not each.name.startswith(".")]
    return [f"{folder}: left out {describe_suffixes(files)} beside the folders"] if files else []


def _all(files: Mapping[str, Iterable[Path]]) -> list[Path]:
    return [path for each in files.values() for path in each]


def _without_val(val_folder: Path, train: Mapping[str, object], val: Mapping[str, Iterable[Path]]) -> list[str]:
    missing = [name for name in train if not val[name]]
    if not missing:
        return []
    listed = ", ".join(missing[:MAX_NAMED]) + (" ..." if len(missing) > MAX_NAMED else "")
    return [
        f"{val_folder}: has no picture of {len(missing)} of {len(train)} classes ({listed}); add some to measure these"
    ]
