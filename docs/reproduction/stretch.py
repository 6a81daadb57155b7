"""Prints the effect of `rescale_max` on the stored train images: python docs/reproduction/stretch.py.

From the checkout's root, after `dvc repro preprocess`.
"""

from pathlib import Path

import numpy as np

from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.images.decoding import load_images


def main() -> None:
    """Prints the fraction of images whose greatest value is 255, and the factor of all images."""
    records = Path("data/records")
    images = load_images(records, load_manifest(records), "train", Path(".cache")).images
    greatest = np.concatenate([block.max(axis=(1, 2, 3)) for block in np.array_split(images, 100)])
    factor = 255 / np.maximum(greatest, 1)
    print(
        f"{len(factor):,} images: {np.mean(greatest == 255):.1%} have 255 as their greatest value; "
        f"rescale_max multiplies by {factor.mean():.4f} in the mean, and {np.mean(factor > 1.1):.1%} by more than 1.1"
    )


if __name__ == "__main__":
    main()
