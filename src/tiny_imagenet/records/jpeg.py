"""JPEG files in, pixels out: decoded in batches, and refused by name when one is not what the dataset promises."""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import PIL.Image

from tiny_imagenet.core.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

MAX_SIZE = 2048  # pixels a side; a header that claims more is refused before anything is decoded
MEND = "mend the archive, or fetch it again"
START, END = b"\xff\xd8", b"\xff\xd9"  # what a whole JPEG file begins and ends with
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of frame headers
PIL.Image.MAX_IMAGE_PIXELS = MAX_SIZE**2

Pixels = npt.NDArray[np.uint8]


def image_size(data: bytes, where: str) -> int:
    """Returns the side of a square image in pixels, as its header says.

    Raises:
        InputError: It is not a square JPEG of a sensible size.
    """
    fault, size = _inspect(data, None)
    if fault is None and size[0] != size[1]:
        fault = f"is {size[0]} x {size[1]} pixels, not square"
    if fault is not None:
        raise InputError(where, fault, MEND)
    return size[0]


def decode(images: Sequence[bytes], names: Sequence[str], size: int) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """Decodes whole greyscale or RGB JPEGs of `size` x `size` pixels.

    Returns:
        Pixels, uint8 [images, size, size, 3], the same that Pillow gives; and whether each file is greyscale, [images].

    Raises:
        InputError: Names the first that is empty, cut, of another size, or of another kind.
    """
    import tensorflow as tf

    # TensorFlow's decoder is twice as fast as Pillow's, but tells neither which image is wrong nor what is, and writes
    # to stderr. So Pillow looks at a batch first if an image seems cut, and afterwards if TensorFlow refuses it.
    if not all(data.startswith(START) and data.endswith(END) for data in images):
        _refuse_faulty(images, names, size)
    frames = [_frame(data) for data in images]
    if {*frames} <= {(size, size, 1), (size, size, 3)}:
        try:
            return _decoder()(tf.constant(images)).numpy(), np.array([channels == 1 for *_, channels in frames])
        except tf.errors.InvalidArgumentError:
            pass
    _refuse_faulty(images, names, size)
    raise InputError(names[0], f"or one of the next {len(names) - 1} cannot be decoded by TensorFlow", MEND)


def _refuse_faulty(images: Sequence[bytes], names: Sequence[str], size: int) -> None:
    for name, data in zip(names, images, strict=True):
        fault, _ = _inspect(data, size)
        if fault is not None:
            raise InputError(name, fault, MEND)


def _inspect(data: bytes, size: int | None) -> tuple[str | None, tuple[int, int]]:
    """Returns what is wrong with a JPEG, if anything, and its (width, height); decodes no pixel before those fit."""
    if not data:
        return "is empty (0 bytes)", (0, 0)
    found = (0, 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
                found = image.size
                if size is not None and found != (size, size):
                    return f"is {found[0]} x {found[1]} pixels, the dataset's images are {size} x {size}", found
                if image.mode not in ("L", "RGB"):
                    return f"is {image.mode}, neither greyscale nor RGB", found
                image.load()
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        return f"claims more than {MAX_SIZE} x {MAX_SIZE} pixels", found
    except PIL.UnidentifiedImageError:
        return "is not a JPEG image", found
    except (OSError, SyntaxError, ValueError) as error:
        return f"is cut or damaged ({error})", found
    return None, found


def _frame(data: bytes) -> tuple[int, int, int]:
    """Returns (height, width, channels) as the frame header of a whole JPEG says, or zeros if it has none."""
    at = len(START)
    while data[at : at + 1] == b"\xff":
        marker = data[at + 1]
        if marker in FRAMES:
            height, width, channels = data[at + 5 : at + 7], data[at + 7 : at + 9], data[at + 9 : at + 10]
            return int.from_bytes(height, "big"), int.from_bytes(width, "big"), int.from_bytes(channels, "big")
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")  # 0xFF may be repeated
    return 0, 0, 0


@functools.cache
def _decoder() -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from a batch of JPEGs to their pixels."""
    import tensorflow as tf

    def one(data: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")

    def decode_batch(images: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(one, images, fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8))

    decoder: Callable[[tf.Tensor], tf.Tensor] = tf.function(decode_batch, [tf.TensorSpec([None], tf.string)])
    return decoder
