"""Keras without the user's settings: those in `keras.json` and KERAS_BACKEND would change the numbers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

HOME = "KERAS_HOME"  # the variable that names the folder of keras.json and of downloaded weights
OF_THE_USER = ("KERAS_BACKEND", "KERAS_NNX_ENABLED", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")


@contextmanager
def default_settings() -> Iterator[None]:
    """Makes the first import of TensorFlow and Keras inside the block read no settings of the user.

    TensorFlow reads keras.json too. KERAS_HOME is restored at the end; the variables with settings stay unset, for the
    processes that this one starts.
    """
    for name in OF_THE_USER:
        os.environ.pop(name, None)
    home = os.environ.get(HOME)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[HOME] = folder
        try:
            yield
        finally:
            os.environ.pop(HOME)
            if home is not None:
                os.environ[HOME] = home


def home() -> str:
    """Returns the user's folder of downloaded weights, as Keras chooses it."""
    named = os.environ.get(HOME)
    if named is not None:
        return named
    base = os.path.expanduser("~")  # noqa: PTH111
    return os.path.join(base if os.access(base, os.W_OK) else "/tmp", ".keras")  # noqa: PTH118
