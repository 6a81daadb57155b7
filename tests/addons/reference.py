"""Writes the results of two former libraries on some images to OUT.npz, in their own environment (`make test-addons`).

The libraries are tensorflow-addons 0.23 and, for `rescale_max`, keras-preprocessing 1.0.5 of the report's time.

usage: reference.py OUT.npz
"""

import sys

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa
from keras_preprocessing.image import apply_brightness_shift

SIZE, BATCH = 64, 32


def main(out: str) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, SIZE, SIZE, 3)).astype(np.float32)
    images[: BATCH // 2] = np.cumsum(images[: BATCH // 2], axis=1) % 256  # smooth in one direction, too
    angle = rng.uniform(-0.35, 0.35, BATCH).astype(np.float32)
    shift = rng.uniform(-6.4, 6.4, (BATCH, 2)).astype(np.float32)
    flip = rng.random(BATCH) < 0.5
    factor = rng.uniform(0.5, 1.5, BATCH).astype(np.float32)

    rotation = tfa.image.transform_ops.angles_to_projective_transforms(angle, SIZE, SIZE)
    translation = tfa.image.translate_ops.translations_to_projective_transforms(shift)
    mirror = np.where(flip[:, None], [-1, 0, SIZE - 1, 0, 1, 0, 0, 0], [1, 0, 0, 0, 1, 0, 0, 0]).astype(np.float32)
    composed = tfa.image.transform_ops.compose_transforms([rotation, translation, mirror])
    transformed = {
        f"composed_{kind}": tfa.image.transform(images, composed, kind, fill_mode="nearest").numpy()
        for kind in ("bilinear", "nearest")
    }
    blended = [tfa.image.blend(tf.zeros(image.shape), image, float(f)) for image, f in zip(images, factor, strict=True)]
    shades = images * np.linspace(0.4, 1, BATCH, dtype=np.float32)[:, None, None, None]
    np.savez(
        out,
        images=images,
        angle=angle,
        shift=shift,
        flip=flip,
        factor=factor,
        transforms=composed.numpy(),
        rotated=tfa.image.rotate(images, angle, "bilinear", fill_mode="nearest").numpy(),
        translated=tfa.image.translate(images, shift, "bilinear", fill_mode="nearest").numpy(),
        shades=shades,
        rescaled=np.stack([apply_brightness_shift(image, float(f)) for image, f in zip(shades, factor, strict=True)]),
        brightened=np.stack([image.numpy() for image in blended]),
        **transformed,
    )


if __name__ == "__main__":
    main(sys.argv[1])
