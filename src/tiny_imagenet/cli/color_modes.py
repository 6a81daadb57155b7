"""Conversion of images of any Pillow mode to RGB."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL.ExifTags import Base

BACKGROUND = "white"  # of transparent pixels, as on most web pages
TIFF_BITS, TIFF_PHOTOMETRIC, WHITE_IS_ZERO = Base.BitsPerSample, Base.PhotometricInterpretation, 0


def as_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Returns an image of any Pillow mode in RGB."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        image = PIL.Image.fromarray(_upper_byte(image))
    elif image.mode in ("I", "F"):
        with np.errstate(invalid="ignore"):  # of signaling NaNs
            values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0, neginf=0)
        low, high = values.min(), values.max()
        image = PIL.Image.fromarray(((values - low) * (255 / max(high - low, 1e-12))).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, BACKGROUND), image)
    return image.convert("RGB")


def _upper_byte(image: PIL.Image.Image) -> npt.NDArray[np.uint8]:
    """Returns the upper byte of 16-bit gray, with transparent pixels white."""
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    gray = (values >> (4 if tags.get(TIFF_BITS) == (12,) else 8)).astype(np.uint8)  # Pillow keeps 12 bits as they are
    if tags.get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO:
        gray = ~gray
    gray[values == image.info.get("transparency", -1)] = 255
    return gray
