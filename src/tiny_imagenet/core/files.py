"""Atomic writes of files and directories: to a temporary one in the same folder, which is then renamed."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tiny_imagenet.core.errors import PipelineError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the folder of `path`; renames it to `path`, or deletes it after an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".temporary-{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder, which is created if it is missing; other processes wait for it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
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
        PipelineError: The directory cannot be written.
    """
    temporary, former = path.with_name(f".temporary-{path.name}"), path.with_name(f".former-{path.name}")
    try:
        for leftover in (temporary, former):
            if leftover.exists():
                shutil.rmtree(leftover)
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            path.rename(former)
        temporary.rename(path)
    except OSError as error:
        todo = "check the disk's space and permissions"
        raise PipelineError(error.filename or path, error.strerror or str(error), todo) from None
    finally:
        for leftover in (temporary, former):
            shutil.rmtree(leftover, ignore_errors=True)
