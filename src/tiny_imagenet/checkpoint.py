"""Exact resume: the state of a training in one file, put in its place by one rename, the one before it kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


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
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        aside = self.directory / "checkpoint.tmp"
        with aside.open("wb") as file:
            encoded = np.frombuffer(json.dumps(about).encode(), np.uint8)
            np.savez(file, allow_pickle=False, about=encoded, **arrays)
            file.flush()
            os.fsync(file.fileno())
        if self.latest.exists():
            self.latest.replace(self.previous)
        aside.replace(self.latest)

    def load(self) -> tuple[Arrays, dict[str, Any]] | None:
        """Returns the newest whole checkpoint (a damaged one is passed over, with a warning), or None."""
        for path in (self.latest, self.previous):
            if not path.exists():
                continue
            try:
                with np.load(path, allow_pickle=False) as file:
                    arrays = {name: file[name] for name in file.files}
                return arrays, json.loads(arrays.pop("about").tobytes())
            except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
                print(f"warning: {path}: damaged ({error}); going back to the one before it", file=sys.stderr)
        return None

    def remove(self) -> None:
        """Removes the checkpoints: the training is done."""
        shutil.rmtree(self.directory, ignore_errors=True)


def state_key(inputs: Mapping[str, Any]) -> str:
    """Returns a name for what a training depends on: `inputs`, ready for JSON, and this package's loaded code."""
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode())
    for name, module in sorted(sys.modules.items()):
        if name.split(".")[0] == __package__ and getattr(module, "__file__", None):
            digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]
