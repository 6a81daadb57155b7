"""The pictures in a folder, by their suffix, and the files beside them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tiny_imagenet.core.errors import InputError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".avif", ".avifs", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm"),
)


class Listing(NamedTuple):
    """The files in a folder and its subfolders, sorted: pictures by their suffix, and all others."""

    pictures: list[Path]
    others: list[Path]


def list_folder(folder: Path) -> Listing:
    """Returns the files in a folder and its subfolders, but those whose name or folder begins with a dot.

    Links to folders count as other files: they are not followed.

    Raises:
        InputError: A subfolder cannot be read.
    """
    listing = Listing([], [])
    for parent, folders, files in os.walk(folder, onerror=_refuse_folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for path in (Path(parent, name) for name in (*files, *links) if not name.startswith(".")):
            is_picture = path.suffix.lower() in SUFFIXES and path.is_file()
            (listing.pictures if is_picture else listing.others).append(path)
    return Listing(sorted(listing.pictures), sorted(listing.others))


def _refuse_folder(error: OSError) -> None:
    raise InputError(error.filename, f"cannot be read ({error.strerror})", "check its permissions") from None


def find_pictures(path: Path) -> list[Path]:
    """Returns a file itself, or the pictures in a folder and its subfolders, by suffix, sorted.

    Files and folders whose name begins with a dot are skipped.

    Raises:
        InputError: The folder holds no picture, or cannot be read.
    """
    if not path.is_dir():
        return [path]
    found, others = list_folder(path)
    if not found:
        raise no_picture(path, others)
    return found


def no_picture(folder: Path, others: Sequence[Path]) -> InputError:
    """Returns the error of a folder without pictures that holds these other files."""
    held = f"holds no picture, only {describe_suffixes(others)} files" if others else "holds no picture"
    return InputError(folder, held, f"name a folder with {', '.join(SUFFIXES[:6])} ... files")


def describe_suffixes(paths: Sequence[Path]) -> str:
    """Returns the number of files by suffix, most frequent first: "20 .heic, 1 .db"."""
    counts = Counter(path.suffix.lower() or "other" for path in paths)
    return ", ".join(f"{count:,} {suffix}" for suffix, count in sorted(counts.items(), key=lambda item: -item[1]))
