"""Checkpoints: the state of a training in one file that is replaced atomically; the previous one is kept."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import weakref
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np

from tiny_imagenet.core.disk import disk_errors

Arrays = dict[str, np.ndarray]

NO_EFFECT = ("core", "tracking", "cli", "report")  # packages that cannot change a training's result

# Raised by numpy, zipfile and json for a damaged or truncated file.
DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error)


class CheckpointStore:
    """The checkpoints of one training.

    Args:
        directory: Created by the first save.

    Attributes:
        directory: Locked by this process from its first load or save. While another process trains the same (two
            experiments with equal inputs), it is the next free one, `<directory>-2` and so on.
        latest: The newest checkpoint.
        previous: The one before it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._unlock: Callable[[], object] | None = None

    @property
    def latest(self) -> Path:  # noqa: D102
        return self.directory / "checkpoint.npz"

    @property
    def previous(self) -> Path:  # noqa: D102
        return self.directory / "checkpoint.previous.npz"

    def _claim(self) -> None:
        """Locks the directory for this process, until it ends, or the next one that no other process has locked."""
        first, number = self.directory, 1
        while self._unlock is None:
            path = self.directory.with_name(f".{self.directory.name}.lock")
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("w")
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if (
                    path.exists() and path.stat().st_ino == os.fstat(lock.fileno()).st_ino
                ):  # not just removed by another
                    self._unlock = weakref.finalize(self, _release, lock, path)  # also when the process ends
                    break
            except BlockingIOError:
                number += 1
                self.directory = first.with_name(f"{first.name}-{number}")
            lock.close()
        if number > 1:
            what = f"another process trains the same; the checkpoints of this one are in {self.directory}"
            print(f"{first.name}: {what}", file=sys.stderr)

    def save(self, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Saves a checkpoint by an atomic rename: a kill at any moment leaves at least one that is complete.

        Args:
            arrays: The variables by name, restored bit for bit.
            metadata: The rest of the state, as JSON values.

        Raises:
            PipelineError: The disk is full or read-only; the previous checkpoint is unchanged.
        """
        temporary = self.directory / "checkpoint.tmp"
        with disk_errors(self.latest, sum(array.nbytes for array in arrays.values())):
            self._claim()
            self.directory.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("wb") as file:
                    encoded = np.frombuffer(
                        json.dumps({"metadata": metadata, "arrays": sorted(arrays)}).encode(), np.uint8
                    )
                    np.savez(file, allow_pickle=False, metadata=encoded, **arrays)
                    file.flush()
                    os.fsync(file.fileno())
                if self.latest.exists():
                    self.latest.replace(self.previous)
                temporary.replace(self.latest)
            finally:
                temporary.unlink(missing_ok=True)

    def load(self) -> tuple[Arrays, dict[str, Any]] | None:
        """Returns the arrays and metadata of the newest complete checkpoint, or None; a damaged one is a warning.

        Raises:
            PipelineError: The directory cannot be written.
        """
        with disk_errors(self.latest, 0):
            self._claim()
        for path in (self.latest, self.previous):
            if not path.exists():
                continue
            try:
                with path.open("rb") as file:
                    return _read(file)
            except DAMAGE as error:
                print(f"warning: {path}: damaged ({error}); the previous one is used", file=sys.stderr)
                path.unlink()  # it must not replace the previous one at the next save
        return None

    def remove(self) -> None:
        """Removes the checkpoints of a finished training, and unlocks their directory."""
        shutil.rmtree(self.directory, ignore_errors=True)
        if self._unlock:
            self._unlock()


def _release(lock: TextIO, path: Path) -> None:
    path.unlink(missing_ok=True)
    lock.close()


def _read(file: BinaryIO) -> tuple[Arrays, dict[str, Any]]:
    with np.load(file, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    state = json.loads(arrays.pop("metadata").tobytes())
    if sorted(arrays) != state["arrays"]:
        raise ValueError("arrays are missing")
    return arrays, state["metadata"]


def state_key(run_digest: str) -> str:
    """Returns a key of a training: a hash of its run's digest and of the loaded modules that can change its result."""
    digest = hashlib.sha256(run_digest.encode())
    root = Path(__file__).parents[1]
    for _, module in sorted(sys.modules.items()):
        path = Path(getattr(module, "__file__", None) or "/")
        if path.is_relative_to(root) and path.relative_to(root).parts[0] not in NO_EFFECT:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def code_digest() -> str:
    """Returns the SHA-256 of all modules that can change a result, loaded or not."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] not in NO_EFFECT:
            digest.update(path.read_bytes())
    return digest.hexdigest()
