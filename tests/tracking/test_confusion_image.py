"""The confusion matrix as a PNG image."""

import io

import numpy as np
import pytest
from PIL import Image

from tiny_imagenet.tracking.confusion_image import MAX_NAMED, confusion_png


@pytest.mark.parametrize("num_classes", [3, MAX_NAMED + 1])
def test_the_image_is_a_function_of_the_counts(num_classes: int) -> None:
    names = [f"class {label}, $x$" for label in range(num_classes)]
    right = np.eye(num_classes, dtype=int)
    first, again, wrong = (confusion_png("m", counts, names) for counts in (right, right, right[::-1]))
    assert first == again != wrong
    with Image.open(io.BytesIO(first)) as image:
        assert image.format == "PNG"
        assert min(image.size) > 1000


def test_a_class_without_images_is_drawn() -> None:
    counts = np.array([[1, 1], [0, 0]])
    assert confusion_png("m", counts, ["a", "b"]) != confusion_png("m", np.eye(2, dtype=int), ["a", "b"])
