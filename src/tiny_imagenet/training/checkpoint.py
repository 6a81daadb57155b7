"""Checkpoints: the state of a training in one file that is replaced atomically; the previous one is kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

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
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.latest, self.previous = directory / "checkpoint.npz", directory / "checkpoint.previous.npz"

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
        """Returns the arrays and metadata of the newest complete checkpoint, or None; a damaged one is a warning."""
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
        """Removes the checkpoints of a finished training."""
        shutil.rmtree(self.directory, ignore_errors=True)


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
