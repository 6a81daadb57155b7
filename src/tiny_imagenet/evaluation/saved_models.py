"""Loading of saved models: `.keras` files, after a check of their SHA-256, without running code from the file."""

from __future__ import annotations

from pathlib import Path

import keras

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import sha256_of
from tiny_imagenet.core.run_record import RunFile
from tiny_imagenet.core.strict_yaml import load_json


def load_model(path: Path, sha256: str, image_size: int, num_classes: int) -> keras.Model:
    """Loads a `.keras` file that maps images (image_size, image_size, 3), or of any size, to logits (num_classes,).

    Raises:
        InputError: The file is missing, has another SHA-256, cannot be loaded, or does not fit the data.
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


def load_run_file(path: Path) -> RunFile:
    """Reads the run.json beside a model.

    Raises:
        InputError: It is missing or damaged.
    """
    return load_json(RunFile, path, "run `dvc repro`")
