"""Decoding of JPEG files in batches; an image that does not fit the dataset is an error with its name."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import PIL.JpegImagePlugin

from tiny_imagenet.archive.zip_archive import REPAIR
from tiny_imagenet.core.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

MAX_SIZE = 2048  # pixels a side; a larger size in the header is refused before decoding
START, END = b"\xff\xd8", b"\xff\xd9"  # first and last bytes of a complete JPEG file
FRAME_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}

Pixels = npt.NDArray[np.uint8]


def image_size(data: bytes, where: str) -> int:
    """Returns the side of a square image in pixels, read from its header.

    Args:
        data: The JPEG file.
        where: Its name for the error message.

    Raises:
        InputError: It is not a valid square JPEG, or it is too large.
    """
    fault, size = _examine(data, None)
    if fault is None and size[0] != size[1]:
        fault = f"is {size[0]} x {size[1]} pixels, not square"
    if fault is not None:
        raise InputError(where, fault, REPAIR)
    return size[0]


def decode(images: Sequence[bytes], names: Sequence[str], size: int) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """Decodes complete grayscale or RGB JPEG files of `size` x `size` pixels.

    Returns:
        The pixels, uint8 [images, size, size, 3], equal to Pillow's, and whether each file is grayscale, bool [images].

    Raises:
        InputError: An image is empty, truncated, of another size or mode; names the first one.
    """
    import tensorflow as tf

    # TensorFlow's decoder is twice as fast as Pillow's, but its error does not name the image, and it writes to stderr.
    # So Pillow examines a batch first if an image seems truncated, and afterwards if TensorFlow fails.
    if not all(data.startswith(START) and data.endswith(END) for data in images):
        _refuse_faulty(images, names, size)
    frames = [_read_frame_header(data) for data in images]
    if {*frames} <= {(size, size, 1), (size, size, 3)}:
        try:
            return _decoder()(tf.constant(images)).numpy(), np.array([channels == 1 for *_, channels in frames])
        except tf.errors.InvalidArgumentError:
            pass
    _refuse_faulty(images, names, size)
    raise InputError(names[0], f"cannot be decoded by TensorFlow (or one of the next {len(names) - 1} images)", REPAIR)


def _refuse_faulty(images: Sequence[bytes], names: Sequence[str], size: int) -> None:
    for name, data in zip(names, images, strict=True):
        fault, _ = _examine(data, size)
        if fault is not None:
            raise InputError(name, fault, REPAIR)


def _examine(data: bytes, size: int | None) -> tuple[str | None, tuple[int, int]]:
    """Returns the fault of a JPEG, or None, and its (width, height); checks the size before decoding any pixel."""
    if not data:
        return "is empty (0 bytes)", (0, 0)
    found = (0, 0)
    try:
        # Not PIL.Image.open(), whose limit of pixels is one for the whole process.
        with PIL.JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as image:
            found = image.size
            if found[0] * found[1] > MAX_SIZE**2:
                return f"has a header of more than {MAX_SIZE} x {MAX_SIZE} pixels", found
            if size is not None and found != (size, size):
                return f"is {found[0]} x {found[1]} pixels, the dataset's images are {size} x {size}", found
            if image.mode not in ("L", "RGB"):
                return f"is {image.mode}, neither grayscale nor RGB", found
            image.load()
    except SyntaxError:
        return "is not a JPEG image", found
    except (OSError, ValueError) as error:
        return f"is truncated or damaged ({error})", found
    return None, found


def _read_frame_header(data: bytes) -> tuple[int, int, int]:
    """Returns (height, width, channels) from the frame header of a complete JPEG, or zeros if it has none."""
    at = len(START)
    while data[at : at + 1] == b"\xff":
        marker = data[at + 1]
        if marker in FRAME_MARKERS:
            height, width, channels = data[at + 5 : at + 7], data[at + 7 : at + 9], data[at + 9 : at + 10]
            return int.from_bytes(height, "big"), int.from_bytes(width, "big"), int.from_bytes(channels, "big")
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")  # 0xFF may repeat as fill
    return 0, 0, 0


@functools.cache
def _decoder() -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the compiled decoder: string [images] to uint8 [images, height, width, 3]."""
    import tensorflow as tf

    def one(data: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")

    def decode_batch(images: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(one, images, fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8))

    decoder: Callable[[tf.Tensor], tf.Tensor] = tf.function(
        decode_batch, [tf.TensorSpec([None], tf.string)], autograph=False
    )
    return decoder
