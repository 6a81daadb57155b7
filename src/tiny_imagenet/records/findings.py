"""Findings about decoded images: digests, sizes, pixel sums, missing color."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Channels = tuple[float, ...]  # red, green, blue


@dataclass(frozen=True)
class Findings:
    """Findings about a sequence of images, in its order.

    Attributes:
        file_digests: SHA-256 of each JPEG.
        pixel_digests: SHA-256 of each decoded image.
        num_bytes: Size of each JPEG, int64 [images].
        grayscale: Whether each JPEG has one channel, bool [images].
        colorless: Whether red, green and blue are equal in every pixel, bool [images].
        single_color: Whether all pixels are equal, bool [images].
        num_pixels: Pixels of all images together.
        sums: Sum of the values 0..255 by channel, int64 [3]; integers, so the order of the images does not matter.
        squares: Sum of the squared values by channel, int64 [3].
    """

    file_digests: list[bytes]
    pixel_digests: list[bytes]
    num_bytes: Ints
    grayscale: npt.NDArray[np.bool_]
    colorless: npt.NDArray[np.bool_]
    single_color: npt.NDArray[np.bool_]
    num_pixels: int
    sums: Ints
    squares: Ints

    @classmethod
    def join(cls, parts: Sequence[Findings]) -> Findings:
        """Concatenates the findings of several sequences."""
        return cls(
            file_digests=[digest for part in parts for digest in part.file_digests],
            pixel_digests=[digest for part in parts for digest in part.pixel_digests],
            num_bytes=np.concatenate([part.num_bytes for part in parts]),
            grayscale=np.concatenate([part.grayscale for part in parts]),
            colorless=np.concatenate([part.colorless for part in parts]),
            single_color=np.concatenate([part.single_color for part in parts]),
            num_pixels=sum(part.num_pixels for part in parts),
            sums=np.sum([part.sums for part in parts], axis=0),
            squares=np.sum([part.squares for part in parts], axis=0),
        )

    def mean_and_std(self) -> tuple[Channels, Channels]:
        """Returns the mean and the standard deviation by channel, as fractions 0..1 of the full range."""
        count = self.num_pixels
        # As integers of Python: the products below exceed 64 bits.
        pairs = list(zip(self.sums.tolist(), self.squares.tolist(), strict=True))
        mean = tuple(total / count / 255 for total, _ in pairs)
        std = tuple(math.sqrt((square * count - total**2) / count**2) / 255 for total, square in pairs)
        return mean, std


def inspect(files: Sequence[bytes], pixels: npt.NDArray[np.uint8], grayscale: npt.NDArray[np.bool_]) -> Findings:
    """Inspects a batch of images.

    Args:
        files: The JPEG files.
        pixels: The decoded images, uint8 [images, height, width, 3].
        grayscale: Whether each JPEG has one channel, bool [images].
    """
    # Summing over the images first is ten times as fast; 32 bits hold the sum of 2**16 images.
    squares = np.square(pixels, dtype=np.uint16).sum(axis=0, dtype=np.uint32)
    sums = pixels.sum(axis=0, dtype=np.uint32)
    first_rows = pixels[:, 0]  # cheap test first: few images pass it
    colorless = (first_rows == first_rows[..., :1]).all(axis=(1, 2))
    single_color = (first_rows == first_rows[:, :1]).all(axis=(1, 2))
    for found, same in ((colorless, pixels[..., :1]), (single_color, pixels[:, :1, :1])):
        found[found] = (pixels[found] == same[found]).all(axis=(1, 2, 3))
    return Findings(
        file_digests=[hashlib.sha256(data).digest() for data in files],
        pixel_digests=[hashlib.sha256(image).digest() for image in pixels],
        num_bytes=np.array([len(data) for data in files]),
        grayscale=grayscale,
        colorless=colorless,
        single_color=single_color,
        num_pixels=pixels.shape[0] * pixels.shape[1] * pixels.shape[2],
        sums=sums.sum(axis=(0, 1), dtype=np.int64),
        squares=squares.sum(axis=(0, 1), dtype=np.int64),
    )
