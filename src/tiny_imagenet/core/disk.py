"""Errors of a full disk, and of files that cannot be read or written."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiny_imagenet.core.errors import PipelineError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
# No access, a read-only disk, a name that is too long, a file in place of a folder or a folder in place of a file.
NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EROFS)
WRONG_PATH = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP)


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
def file_errors() -> Iterator[None]:
    """Turns the OSError of a full disk, or of a path that the user can correct, into a PipelineError.

    Others pass through.
    """
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            todo = "free some space (docs/operations.md)"
            raise PipelineError(error.filename or "disk", "no space left on device", todo) from None
        if error.filename is None or error.errno not in (*NO_ACCESS, *WRONG_PATH):
            raise
        raise _wrong_path(error.filename, error) from None


def require_writable(*folders: Path) -> None:
    """Checks that files can be written to folders, before the work whose results they will hold; creates nothing.

    Of a folder that does not exist, the nearest one that does is checked.

    Raises:
        PipelineError: A folder cannot be written; names it.
    """
    for folder in folders:
        try:
            with tempfile.TemporaryFile(dir=next(each for each in (folder, *folder.parents) if each.exists())):
                pass
        except OSError as error:
            if error.errno in DISK_FULL:
                raise _disk_full(folder, 0) from None
            raise _wrong_path(folder, error) from None


def _wrong_path(path: object, error: OSError) -> PipelineError:
    todo = "check its owner and permissions" if error.errno in NO_ACCESS else "rename, move or remove it"
    return PipelineError(path, f"cannot be used: {error.strerror}", todo)


def require_free_bytes(path: Path, needed_bytes: int) -> None:
    """Raises a PipelineError unless the disk of `path` has `needed_bytes` free."""
    if shutil.disk_usage(path.parent).free < needed_bytes:
        raise _disk_full(path, needed_bytes)


def _disk_full(path: Path, needed_bytes: int) -> PipelineError:
    free_bytes = shutil.disk_usage(path.parent).free
    return PipelineError(path, f"needs {needed_bytes:,} bytes, {free_bytes:,} are free", "free some space")
