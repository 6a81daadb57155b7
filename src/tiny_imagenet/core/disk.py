"""A disk that is full, or that cannot be written, as a user is told it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiny_imagenet.core.errors import PipelineError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def disk_errors(path: Path, needed_bytes: int) -> Iterator[None]:
    """Raises a PipelineError instead of an OSError where `path`, of about so many bytes, cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise _disk_full(path, needed_bytes) from None
        raise PipelineError(path, f"cannot be written: {error.strerror}", "check the folder") from None


@contextmanager
def full_disk_errors() -> Iterator[None]:
    """Raises a PipelineError instead of the OSError of a full disk, whoever met it."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise PipelineError(error.filename or "the disk", "is full", "free some space (docs/operations.md)") from None


def require_free_bytes(path: Path, needed_bytes: int) -> None:
    """Raises a PipelineError unless the disk of `path` has room for so many bytes more."""
    if shutil.disk_usage(path.parent).free < needed_bytes:
        raise _disk_full(path, needed_bytes)


def _disk_full(path: Path, needed_bytes: int) -> PipelineError:
    free_bytes = shutil.disk_usage(path.parent).free
    return PipelineError(path, f"needs {needed_bytes:,} bytes, {free_bytes:,} are free", "free some space")
