"""Pictures of any size and most formats, converted to a dataset's images: upright, square, RGB, uint8."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageOps

from tiny_imagenet.core.errors import InputError

# Common formats. Pillow reads more, but for some, such as EPS, it starts programs or reads other files.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".avif", ".avifs", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm"),
)
DRAFT_FACTOR = 4  # a large JPEG is decoded at reduced size, but at least at this multiple of the final one
BACKGROUND = "white"  # of transparent pixels, as on most web pages
CONVERT = "remove it, or convert it to PNG or JPEG"

# Pillow warns from 89 million pixels on, and refuses twice as many; here, the warning is an error.
warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)


def find_pictures(path: Path) -> list[Path]:
    """Returns a file itself, or the pictures in a folder and its subfolders, by suffix, sorted.

    Files and folders whose name begins with a dot are skipped.

    Raises:
        InputError: The folder holds no picture.
    """
    if not path.is_dir():
        return [path]
    files = (each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
    found = [each for each in files if not any(part.startswith(".") for part in each.relative_to(path).parts)]
    if not found:
        raise InputError(path, "holds no picture", f"name a folder with {', '.join(SUFFIXES[:6])} ... files")
    return sorted(found)


def read_picture(path: Path, size: int) -> npt.NDArray[np.uint8]:
    """Returns a picture as the input of a model, uint8 (size, size, 3).

    A picture of that size keeps its pixels: an image of the dataset is read as in training.

    Raises:
        InputError: The file is missing, is not a picture, or is damaged or too large.
    """
    return np.asarray(make_square(open_picture(path, DRAFT_FACTOR * size), size))


def open_picture(path: Path, min_size: int) -> PIL.Image.Image:
    """Decodes a picture to RGB: its first frame, upright by its EXIF orientation.

    A JPEG may be decoded at half or a quarter of its size, but at no less than `min_size` pixels a side: photographs
    are read several times faster.

    Transparent pixels become white. 16-bit gray keeps its upper byte. 32-bit integers and floats, which have no
    defined range, are scaled from their minimum and maximum to 0 and 255. Color profiles are ignored, as in training.

    Raises:
        InputError: The file is missing, is not a picture, or is damaged or too large.
    """
    try:
        with PIL.Image.open(path, formats=FORMATS) as file:
            # At an eighth, colors are off by several levels; at a quarter, by one.
            file.draft(None, (max(min_size, -(-file.width // 4)), max(min_size, -(-file.height // 4))))
            file.load()
            return _as_rgb(PIL.ImageOps.exif_transpose(file))
    except FileNotFoundError:
        raise InputError(path, "no such file", "check its name") from None
    except PIL.UnidentifiedImageError:
        raise InputError(path, "is not a picture in a supported format", CONVERT) from None
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        limit = PIL.Image.MAX_IMAGE_PIXELS or 0
        raise InputError(path, f"has more than {limit:,} pixels", "resize it") from None
    except Exception as error:  # Pillow raises errors of many kinds for damaged files
        raise InputError(path, f"cannot be read ({str(error) or type(error).__name__})", CONVERT) from None


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


def _as_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Returns an image of any Pillow mode in RGB."""
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
