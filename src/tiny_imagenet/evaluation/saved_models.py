"""Saved models, read with care: `.keras` only, the digest checked first, no code from the file is run."""

from __future__ import annotations

import json
from pathlib import Path

import keras

from tiny_imagenet.errors import InputError
from tiny_imagenet.files import sha256_of


def load_model(path: Path, sha256: str, image_size: int, num_classes: int) -> keras.Model:
    """Loads a `.keras` file that maps images (image_size, image_size, 3), or of any size, to logits (num_classes,).

    Raises:
        InputError: The file is missing, is not the one that was saved, or cannot be loaded.
    """
    if path.suffix != ".keras":
        raise InputError(path, "is not a .keras file", "save the model in that format")
    if not path.is_file():
        raise InputError(path, "not found", "run `dvc repro`")
    if sha256_of(path) != sha256:
        raise InputError(
            path,
            "is not the model that training saved (its SHA-256 differs)",
            "train it again with `dvc repro --force`",
        )
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its parts raise
        raise InputError(path, f"cannot be loaded: {error}", "train it again") from None
    shapes = (model.input_shape[1:], model.output_shape[1:])
    expected = ((image_size, image_size, 3), (num_classes,))
    if shapes not in (expected, ((None, None, 3), (num_classes,))):
        raise InputError(
            path, f"maps {shapes[0]} to {shapes[1]}, the data needs {expected[0]} to {expected[1]}", "train it again"
        )
    return model


def load_run(path: Path) -> dict[str, str]:
    """Reads what training left beside a model: `run_id`, `experiment`, `model_sha256`."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        return {key: str(run[key]) for key in ("run_id", "experiment", "model_sha256")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(path, f"cannot be read: {error}", "run `dvc repro`") from None
