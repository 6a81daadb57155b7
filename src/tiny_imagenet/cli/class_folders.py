"""Class folders in a folder, and folders of splits that hold these."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import NamedTuple

from tiny_imagenet.cli.picture_files import list_folder
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.text import printable

Pictures = dict[str, list[Path]]  # by class, in the order of the labels
SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}  # names of their folders, in any case


class Classes(NamedTuple):
    """The pictures, folders and other files of each class."""

    pictures: Pictures
    folders: dict[str, list[Path]]
    others: dict[str, list[Path]]


def class_name(folder: Path) -> str:
    """Returns a folder's name as file systems compare it: composed Unicode (NFC), single blanks, none at the ends."""
    return printable(" ".join(unicodedata.normalize("NFC", folder.name).split()))


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    except NotADirectoryError:
        what = "is not a folder"
    except OSError as error:
        what = "is not a folder" if not folder.exists() else f"cannot be read ({error.strerror})"
    raise InputError(folder, what, "name a folder of folders of pictures") from None


def find_split_folders(folder: Path) -> dict[str, Path]:
    """Returns the folder of each split, or nothing if the subfolders are classes.

    Raises:
        InputError: There are folders of several splits, but two of one split, none of train, or others beside them.
    """
    folders = _subfolders(folder)
    names = {each: class_name(each).casefold() for each in folders}
    found = {split: [each for each in folders if names[each] in known] for split, known in SPLITS.items()}
    parts = {split: paths[0] for split, paths in found.items() if paths}
    others = [each.name for each in folders if not any(each in paths for paths in found.values())]
    listed = ", ".join(each.name for paths in found.values() for each in paths)
    if len(parts) < 2:  # a single one may be a class: a train is a vehicle
        alone = "train" in parts and len(folders) == 1 and bool(_subfolders(parts["train"]))
        return parts if alone else {}
    if others:
        what = f"holds folders of splits ({listed}) and others ({', '.join(others[:5])})"
        raise InputError(folder, what, "move those that are no split, or rename those that are classes")
    if "train" not in parts or any(len(paths) > 1 for paths in found.values()):
        raise InputError(folder, f"holds {listed}", "name one folder train, one val and, if there are such, one test")
    return parts


def find_classes(folder: Path) -> Classes:
    """Returns the class folders in a folder; several folders whose names differ in Unicode or blanks are one class."""
    folders: dict[str, list[Path]] = {}
    for each in _subfolders(folder):
        if len(find_split_folders(each)) > 1:
            raise InputError(each, "holds folders of splits", "put these outside: train/CLASS, val/CLASS")
        folders.setdefault(class_name(each), []).append(each)
    folders = dict(sorted(folders.items()))
    listings = {name: [list_folder(each) for each in paths] for name, paths in folders.items()}
    return Classes(
        {name: sorted(path for part in parts for path in part.pictures) for name, parts in listings.items()},
        folders,
        {name: sorted(path for part in parts for path in part.others) for name, parts in listings.items()},
    )
