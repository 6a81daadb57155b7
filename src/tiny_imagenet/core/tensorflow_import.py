"""The first import of TensorFlow and Keras in a process: quiet, quick, and without the user's settings."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tiny_imagenet.core.keras_settings import default_settings
from tiny_imagenet.core.process import silence_stderr

OPTIONAL = ("matplotlib", "pandas", "sklearn")  # Keras imports them, if installed, for functions that are unused here


@contextmanager
def first_import() -> Iterator[None]:
    """Runs the block, which imports TensorFlow and Keras, in half of the time that it would take.

    Most of the other half is garbage collections: they go through hundreds of thousands of objects and free none. Later
    ones leave these objects out.
    """
    with silence_stderr(), default_settings(), _hidden(OPTIONAL):
        gc.disable()
        try:
            yield
        finally:
            gc.freeze()
            gc.enable()


@contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    """Makes packages that are not imported yet look as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # with None, an import raises ImportError
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
