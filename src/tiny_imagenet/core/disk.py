"""Errors of a full or unwritable disk."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiny_imagenet.core.errors import PipelineError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def disk_errors(path: Path, needed_bytes: int) -> Iterator[None]:
    """Turns an OSError of the body into a PipelineError.

    Args:
        path: The file that the body writes.
        needed_bytes: Its approximate size.

    Raises:
        PipelineError: The disk is full, or the file cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise _disk_full(path, needed_bytes) from None
        raise PipelineError(path, f"cannot be written: {error.strerror}", "check the folder") from None


@contextmanager
def full_disk_errors() -> Iterator[None]:
    """Turns the OSError of a full disk into a PipelineError, whichever file it concerns; others pass through."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        todo = "free some space (docs/operations.md)"
        raise PipelineError(error.filename or "disk", "no space left on device", todo) from None


def require_free_bytes(path: Path, needed_bytes: int) -> None:
    """Raises a PipelineError unless the disk of `path` has `needed_bytes` free."""
    if shutil.disk_usage(path.parent).free < needed_bytes:
        raise _disk_full(path, needed_bytes)


def _disk_full(path: Path, needed_bytes: int) -> PipelineError:
    free_bytes = shutil.disk_usage(path.parent).free
    return PipelineError(path, f"needs {needed_bytes:,} bytes, {free_bytes:,} are free", "free some space")
