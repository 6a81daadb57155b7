"""The pictures in a folder, by their suffix, and the files beside them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from tiny_imagenet.core.errors import InputError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".avif", ".avifs", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm"),
)
MAX_LISTED = 8  # suffixes


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
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for path in (Path(parent, name) for name in (*files, *links) if not name.startswith(".")):
            is_picture = path.suffix.lower() in SUFFIXES and path.is_file()
            (listing.pictures if is_picture else listing.others).append(path)
    return Listing(sorted(listing.pictures), sorted(listing.others))


def _refuse(error: OSError) -> NoReturn:
    raise InputError(error.filename, f"cannot be read ({error.strerror})", "check its name and permissions") from None


def find_pictures(path: Path) -> Listing:
    """Returns a file itself, or the files in a folder and its subfolders: the pictures by suffix, and all others.

    Raises:
        InputError: The folder holds no picture, or cannot be read.
    """
    try:
        if not path.is_dir():
            return Listing([path], [])
        listing = list_folder(path)
    except OSError as error:  # of a name that is too long, or in a folder without search permission
        _refuse(error)
    if not listing.pictures:
        raise no_picture(path, listing.others)
    return listing


def left_out(folder: Path, others: Sequence[Path]) -> list[str]:
    """Returns a line on the files in a folder that are left out, or none if there is no such file."""
    if not others:
        return []
    noun = "file that is no picture by its" if len(others) == 1 else "files that are no pictures by their"
    return [
        f"{folder}: left out {len(others):,} {noun} suffix ({describe_suffixes(others)}), such as "
        f"{others[0].relative_to(folder)}; convert pictures of other formats to JPEG or PNG"
    ]


def no_picture(folder: Path, others: Sequence[Path]) -> InputError:
    """Returns the error of a folder without pictures that holds these other files."""
    held = f"holds no picture, only {describe_suffixes(others)} files" if others else "holds no picture"
    return InputError(folder, held, f"name a folder with {', '.join(SUFFIXES[:6])} ... files")


def describe_suffixes(paths: Sequence[Path]) -> str:
    """Returns the number of files by suffix, most frequent first: "20 .heic, 1 .db"."""
    counts = Counter(path.suffix.lower() or "other" for path in paths)
    listed = [f"{count:,} {suffix}" for suffix, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    return ", ".join(listed[:MAX_LISTED]) + (" ..." if len(listed) > MAX_LISTED else "")
