"""JPEG files in, pixels out: decoded in batches, and refused by name when one is not what the dataset promises."""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from tiny_imagenet.errors import InputError

MAX_SIZE = 2048  # pixels a side; a header that claims more is refused before anything is decoded
MEND = "mend the archive, or fetch it again"
START, END = b"\xff\xd8", b"\xff\xd9"  # what a whole JPEG file begins and ends with
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
    read_shapes, read_pixels = _graphs()
    try:
        shapes = read_shapes(tf.constant(images)).numpy()
        if np.all(shapes[:, :2] == size) and np.all(np.isin(shapes[:, 2], (1, 3))):
            return read_pixels(tf.constant(images)).numpy(), shapes[:, 2] == 1
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


@functools.cache
def _graphs() -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Returns two functions of a batch of JPEGs: to (height, width, channels), and to pixels."""
    import tensorflow as tf

    def read_shapes(images: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(tf.io.extract_jpeg_shape, images, fn_output_signature=tf.TensorSpec([3], tf.int32))

    def read_pixels(images: tf.Tensor) -> tf.Tensor:
        def one(data: tf.Tensor) -> tf.Tensor:
            return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")

        return tf.map_fn(one, images, fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8))

    batch = [tf.TensorSpec([None], tf.string)]
    return tf.function(read_shapes, input_signature=batch), tf.function(read_pixels, input_signature=batch)
