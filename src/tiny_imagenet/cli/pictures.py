"""Pictures of any size and kind, made into what a dataset's images are: square, upright, RGB, 0 to 255."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageOps

from tiny_imagenet.core.errors import InputError

# What people have. Others, such as EPS, have Pillow start programs or read a second file.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".avif", ".avifs", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm"),
)
MARGIN = 4  # a large JPEG is decoded at a half or a quarter, but at no less than this many times the size asked for
BACKGROUND = "white"  # behind what is transparent, as on most pages
CHANGE_IT = "leave it out, or save it anew as PNG or JPEG"

# Pillow warns at 89 million pixels and refuses at twice as many: here the first is the limit.
warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)


def find_pictures(path: Path) -> list[Path]:
    """Returns a file as it is; of a folder all files in and below it that have a picture's suffix, in order.

    Files and folders whose name begins with a dot are no part of a folder.

    Raises:
        InputError: A folder holds no picture.
    """
    if not path.is_dir():
        return [path]
    files = (each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
    found = [each for each in files if not any(part.startswith(".") for part in each.relative_to(path).parts)]
    if not found:
        raise InputError(path, "holds no picture", f"name a folder with {', '.join(SUFFIXES[:6])} ... files")
    return sorted(found)


def read_picture(path: Path, size: int) -> npt.NDArray[np.uint8]:
    """Returns a picture as a model is given an image: uint8 (size, size, 3).

    A picture that has that size already keeps its pixels: an image of the dataset gives what training saw of it.

    Raises:
        InputError: There is no such file, or it is no picture, damaged or too large.
    """
    return np.asarray(make_square(open_picture(path, MARGIN * size), size))


def open_picture(path: Path, least: int) -> PIL.Image.Image:
    """Decodes a picture: RGB, the first frame of several, turned upright as its EXIF data says.

    A JPEG may come shrunk, to a quarter or to `least` pixels a side at the least: photographs are read much faster so.

    Transparent parts become white; 16-bit grey keeps its upper byte; numbers without a given range (32-bit TIFF) are
    stretched from their least to their greatest. Colour profiles are not applied, as they were not in training.

    Raises:
        InputError: There is no such file, or it is no picture, damaged or too large.
    """
    try:
        with PIL.Image.open(path, formats=FORMATS) as file:
            # At an eighth the colours are off by several levels; at a quarter, by one.
            file.draft(None, (max(least, -(-file.width // 4)), max(least, -(-file.height // 4))))
            file.load()
            return _as_rgb(PIL.ImageOps.exif_transpose(file))
    except FileNotFoundError:
        raise InputError(path, "no such file", "correct its name") from None
    except PIL.UnidentifiedImageError:
        raise InputError(path, "is no picture that Pillow reads", CHANGE_IT) from None
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        limit = PIL.Image.MAX_IMAGE_PIXELS or 0
        raise InputError(path, f"has more than {limit:,} pixels", "make it smaller") from None
    except Exception as error:  # Pillow's readers of broken files raise whatever their parts raise
        raise InputError(path, f"cannot be read ({str(error) or type(error).__name__})", CHANGE_IT) from None


def make_square(image: PIL.Image.Image, size: int) -> PIL.Image.Image:
    """Returns the largest square in the middle of an RGB picture, resized to `size` x `size` pixels.

    How Tiny ImageNet's images were made of ImageNet's was not published. By the look of them they were cut to a square,
    then shrunk: what is round is round, what is long is cut at its sides. Pillow's antialiased bicubic is a guess.
    """
    if image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    cut = image.crop((left, top, left + side, top + side))  # `resize(box=...)` would mix in what is outside
    return cut.resize((size, size), PIL.Image.Resampling.BICUBIC)


def _as_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Converts any of Pillow's modes to RGB."""
    if image.mode.startswith("I;16"):
        image = PIL.Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0, neginf=0)
        low, high = values.min(), values.max()
        image = PIL.Image.fromarray(((values - low) * (255 / max(high - low, 1e-12))).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, BACKGROUND), image)
    return image.convert("RGB")
