"""Pictures of any size and most formats, converted to a dataset's images: upright, square, RGB, uint8."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.JpegImagePlugin
from PIL.ExifTags import Base
from PIL.Image import Transpose

from tiny_imagenet.cli.color_modes import as_rgb
from tiny_imagenet.core.errors import InputError

# Common formats. Pillow reads more, but for some, such as EPS, it starts programs or reads other files.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
DRAFT_FACTOR = 4  # a large JPEG is decoded at reduced size, but at least at this multiple of the final one
MAX_PIXELS = 89_478_485  # of a decoded picture: 256 MiB as RGB; also the limit from which Pillow warns
MAX_JPEG_PIXELS = 2**28  # of a JPEG, which can be decoded at half its size: phones take pictures of 200 million
CONVERT = "remove it, or convert it to PNG or JPEG"

JPEG_START, PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
JPEG_END, FILLER = b"\xff\xd9", bytes(range(1, 255)) * 8  # the filler decodes to pixels that are not all equal
MISSING = 128  # value of the pixels that libjpeg finds no data of
PNG_EXTRAS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # chunks of text, and the color profile
UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}  # by EXIF orientation

# Pillow warns of damaged metadata, which are ignored here, and of large pictures, whose size is checked here.
warnings.filterwarnings("ignore", module=r"PIL\.")


def read_picture(path: Path, size: int) -> npt.NDArray[np.uint8]:
    """Returns a picture as the input of a model, uint8 (size, size, 3).

    A picture of that size keeps its pixels: an image of the dataset is read as in training.

    Raises:
        InputError: The file is missing, is not a picture, or is damaged or too large.
    """
    return np.asarray(make_square(open_picture(path, DRAFT_FACTOR * size), size))


def open_picture(path: Path, min_size: int) -> PIL.Image.Image:
    """Decodes a picture to RGB: its first frame, upright by its EXIF orientation.

    A JPEG may be decoded at half or a quarter of its size, but at no less than `min_size` pixels a side, or than half
    its size if it has more than `MAX_PIXELS`: photographs are read several times faster.

    Transparent pixels become white. 16-bit gray keeps its upper byte. 32-bit integers and floats, which have no
    defined range, are scaled from their minimum and maximum to 0 and 255. Color profiles, text and damaged EXIF data
    are ignored.

    Raises:
        InputError: The file is missing, is not a picture, or is damaged or too large.
    """
    try:
        with path.open("rb") as file:
            return _decode(file if file.seekable() else io.BytesIO(file.read()), path, min_size)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(path, "no such file", "check its name") from None
    except PIL.UnidentifiedImageError:
        raise InputError(path, "is not a picture in a supported format", CONVERT) from None
    except PIL.Image.DecompressionBombError:
        raise _too_large(path, MAX_PIXELS) from None
    except Exception as error:  # Pillow raises errors of many kinds for damaged files
        what = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        raise InputError(path, f"cannot be read ({what})", CONVERT) from None


def _decode(file: IO[bytes], path: Path, min_size: int) -> PIL.Image.Image:
    start = file.read(len(PNG_START))
    file.seek(0)
    if start.startswith(JPEG_START):
        return _decode_jpeg(file, path, min_size)
    try:
        return _decode_other(file, path)
    except ValueError:
        if start != PNG_START:
            raise
    return _decode_other(_without_extras(file), path)


def _decode_jpeg(file: IO[bytes], path: Path, min_size: int) -> PIL.Image.Image:
    # Not PIL.Image.open(), which refuses a large picture before its size can be reduced.
    image = PIL.JpegImagePlugin.JpegImageFile(file)
    num_pixels = image.width * image.height
    if num_pixels > MAX_JPEG_PIXELS:
        raise _too_large(path, MAX_JPEG_PIXELS)
    # At an eighth, colors are off by several levels; at a quarter, by one.
    parts = 1 if num_pixels <= MAX_PIXELS else 2
    width, height = (min(max(min_size, -(-side // 4)), side // parts) for side in image.size)
    image.draft(None, (width, height))
    image.load()
    if _is_cut(image, file, (width, height)):
        raise InputError(path, "cannot be read (image data are missing before its end marker)", CONVERT)
    return _as_upright_rgb(image)


def _is_cut(image: PIL.Image.Image, file: IO[bytes], size: tuple[int, int]) -> bool:
    """Returns whether a JPEG that was decoded at this draft size has an end marker, but no data of its last pixels.

    libjpeg makes such pixels gray without an error. With more data before the marker, it decodes these in their place,
    while it skips them if nothing was missing.
    """
    if image.getpixel((image.width - 1, image.height - 1)) not in (MISSING, (MISSING,) * 3):
        return False
    file.seek(0)
    start, marker, rest = file.read().rpartition(JPEG_END)
    if not marker:
        return False
    longer = PIL.JpegImagePlugin.JpegImageFile(io.BytesIO(start + FILLER + marker + rest))
    longer.draft(None, size)
    return not np.array_equal(np.asarray(image), np.asarray(longer))


def _decode_other(file: IO[bytes], path: Path) -> PIL.Image.Image:
    with PIL.Image.open(file, formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_large(path, MAX_PIXELS)
        if image.format == "PPM" and image.tile[0].args == ("RGB", 65_535):
            # Pillow would round to 8 bits, slowly. This takes the upper byte, as of the other formats.
            image.tile = [image.tile[0]._replace(codec_name="raw", args=("RGB;16B", 0, 1))]
        image.load()
        return _as_upright_rgb(image)


def _without_extras(file: IO[bytes]) -> IO[bytes]:
    """Returns a PNG without its texts and color profile: Pillow refuses a file in which these are large."""
    file.seek(0)
    data = file.read()
    kept, start = [data[: len(PNG_START)]], len(PNG_START)
    while chunk := data[start : start + 8]:
        length, kind = struct.unpack(">I4s", chunk) if len(chunk) == 8 else (0, b"")
        end = start + length + 12  # with the length, the kind and the checksum
        kept += [] if kind in PNG_EXTRAS else [data[start:end]]
        start = end
    return io.BytesIO(b"".join(kept))


def _too_large(path: Path, limit: int) -> InputError:
    return InputError(path, f"has more than {limit:,} pixels", "resize it")


def make_square(image: PIL.Image.Image, size: int) -> PIL.Image.Image:
    """Returns the largest central square of an RGB picture, resized to `size` x `size` pixels.

    How Tiny ImageNet's images were made from ImageNet's is not published. They look center-cropped to a square, then
    resized: shapes keep their proportions. Pillow's antialiased bicubic filter is an assumption.
    """
    if image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))  # `resize(box=...)` would mix in pixels outside
    return square.resize((size, size), PIL.Image.Resampling.BICUBIC)


def _as_upright_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Returns a decoded file in RGB, upright."""
    try:
        orientation = image.getexif().get(Base.Orientation)
    except Exception:  # of damaged EXIF data
        orientation = None
    image = as_rgb(image)
    # Not exif_transpose(), which also writes the EXIF data back, and fails where they are damaged.
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image
