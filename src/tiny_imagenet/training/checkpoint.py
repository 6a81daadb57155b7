"""Exact resume: the state of a training in one file, put in its place by one rename, the one before it kept."""

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

from tiny_imagenet.disk import disk_errors

Arrays = dict[str, np.ndarray]

# What numpy, zipfile and json raise on a file with a flipped bit or a cut.
DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error)


class CheckpointStore:
    """The checkpoints of one training.

    Args:
        directory: Where they lie; made when the first is saved.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.latest, self.previous = directory / "checkpoint.npz", directory / "checkpoint.previous.npz"

    def save(self, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
        """Writes aside, then renames: a kill at any moment leaves at least one whole checkpoint.

        Args:
            arrays: What to restore bit for bit.
            about: The rest of the state, for JSON.

        Raises:
            PipelineError: The disk is full, or cannot be written; the checkpoint before it is as it was.
        """
        aside = self.directory / "checkpoint.tmp"
        with disk_errors(self.latest, sum(array.nbytes for array in arrays.values())):
            self.directory.mkdir(parents=True, exist_ok=True)
            try:
                with aside.open("wb") as file:
                    encoded = np.frombuffer(json.dumps({"about": about, "arrays": sorted(arrays)}).encode(), np.uint8)
                    np.savez(file, allow_pickle=False, about=encoded, **arrays)
                    file.flush()
                    os.fsync(file.fileno())
                if self.latest.exists():
                    self.latest.replace(self.previous)
                aside.replace(self.latest)
            finally:
                aside.unlink(missing_ok=True)

    def load(self) -> tuple[Arrays, dict[str, Any]] | None:
        """Returns the newest whole checkpoint (a damaged one is passed over, with a warning), or None."""
        for path in (self.latest, self.previous):
            if not path.exists():
                continue
            try:
                with path.open("rb") as file:
                    return _read(file)
            except DAMAGE as error:
                print(f"warning: {path}: damaged ({error}); going back to the one before it", file=sys.stderr)
                path.unlink()  # it must not take the place of the one before it at the next save
        return None

    def remove(self) -> None:
        """Removes the checkpoints: the training is done."""
        shutil.rmtree(self.directory, ignore_errors=True)


def _read(file: BinaryIO) -> tuple[Arrays, dict[str, Any]]:
    with np.load(file, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    state = json.loads(arrays.pop("about").tobytes())
    if sorted(arrays) != state["arrays"]:
        raise ValueError("arrays are missing")
    return arrays, state["about"]


def state_key(inputs: Mapping[str, Any]) -> str:
    """Returns a name for what a training depends on: `inputs`, ready for JSON, and this package's loaded code."""
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode())
    for name, module in sorted(sys.modules.items()):
        if name.split(".")[0] == __package__.split(".")[0] and getattr(module, "__file__", None):
            digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]
