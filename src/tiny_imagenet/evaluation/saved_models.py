"""Loading of saved models: `.keras` files, after a check of their content, without running code from the file."""

from __future__ import annotations

import textwrap
from pathlib import Path

import keras

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.model_info import ModelInfo, read_model_info

MAX_REASON = 300  # characters


def load_model(path: Path) -> tuple[keras.Model, ModelInfo]:
    """Loads a `.keras` file that maps images (image_size, image_size, 3), or of any size, to logits (num_classes,).

    Returns:
        The model, and the metadata that its file carries.

    Raises:
        InputError: The file is missing or damaged, cannot be loaded, or does not do what its metadata says.
    """
    info = read_model_info(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        shapes = (model.input_shape[1:], model.output_shape[1:])  # another Keras object has none
    except Exception as error:  # Keras raises whatever its parts raise, with a configuration of any length
        reason = textwrap.shorten(str(error), MAX_REASON, placeholder=" ...")
        raise InputError(path, f"cannot be loaded: {reason}", "train it again") from None
    size, logits = info.image_size, (len(info.classes),)
    if shapes not in (((size, size, 3), logits), ((None, None, 3), logits)):
        what = f"maps {shapes[0]} to {shapes[1]}, not {(size, size, 3)} to {logits} as it says"
        raise InputError(path, what, "train it again")
    return model, info
