"""Atomic writes of files and directories: to a temporary folder beside them, from which the result is renamed."""

from __future__ import annotations

import csv
import errno
import fcntl
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tiny_imagenet.core.errors import InputError, PipelineError

LOCK = ".lock"  # a file that is locked as long as its folder is in use
SHOWN_LENGTH = 50  # characters of a name in that of its temporary folder, which must not be too long for a disk


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path with the same suffix; renames it to `path`, or deletes it after an exception.

    Processes that write one path at the same time each write a file of their own; the last rename counts.

    Raises:
        InputError: The path is no file.
    """
    require_replaceable(path)
    with _temporary_folder(path) as folder:
        temporary = folder / f"new{path.suffix}"
        yield temporary
        temporary.replace(path)


def require_replaceable(path: Path) -> None:
    """Raises an InputError if something other than a file, such as a folder, is at the path."""
    if path.exists() and not path.is_file():
        raise InputError(path, "is a folder" if path.is_dir() else "is not an ordinary file", "name a file")


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    """Yields a new folder beside `path`, and deletes it; also deletes those that killed processes left.

    Its owner holds its lock, so what is in use is never deleted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".temporary-{path.name[:SHOWN_LENGTH]}-"
    with suppress(OSError):  # a folder that cannot be listed may still be written to
        for leftover in [each for each in path.parent.iterdir() if each.name.startswith(prefix)]:
            _delete_unless_locked(leftover)
    try:
        folder = path.parent / Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent)).name
    except OSError as error:
        error.filename = str(path)  # the name that the user knows
        raise
    try:
        with (folder / "unlocked").open("w") as lock:
            with suppress(OSError):  # a disk without locks: nothing there is taken for a leftover
                fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / "unlocked").rename(folder / LOCK)  # never seen before it is locked
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _delete_unless_locked(folder: Path) -> None:
    with suppress(OSError), (folder / LOCK).open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder, which is created if it is missing; other processes wait for it.

    The file of the lock stays: one process could hold that of a deleted file, and another that of a new one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_json(path: Path, content: Any) -> None:
    """Writes strict JSON, atomically: no NaN, no infinity."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a CSV file, atomically: at least one row, all with the same keys."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def sha256_of(path: Path) -> str:
    """Returns a file's SHA-256, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yields an empty temporary directory; renames it to `path`, or deletes it after an exception.

    Raises:
        InputError: The path is no folder.
        PipelineError: The directory cannot be written.
    """
    try:
        if os.path.lexists(path) and not path.is_dir():
            raise InputError(path, "is not a folder", "rename, move or remove it")
        with _temporary_folder(path) as folder:
            temporary = folder / "new"
            temporary.mkdir()
            yield temporary
            _replace_directory(temporary, path, folder)
    except OSError as error:
        todo = "check the disk's space and permissions"
        raise PipelineError(error.filename or path, error.strerror or str(error), todo) from None


def _replace_directory(new: Path, path: Path, folder: Path) -> None:
    """Renames a directory to `path`; moves those that are there to `folder`: another process may put a new one."""
    for number in itertools.count():
        with suppress(FileNotFoundError):
            path.rename(folder / f"former-{number}")
        try:
            new.rename(path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        else:
            return
