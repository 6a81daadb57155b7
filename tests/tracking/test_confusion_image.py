import io

import numpy as np
import pytest
from PIL import Image

from tiny_imagenet.tracking.confusion_image import READABLE, confusion_png


@pytest.mark.parametrize("num_classes", [3, READABLE + 1])
def test_the_picture_is_that_of_the_answers(num_classes: int) -> None:
    labels = np.arange(num_classes)
    names = [f"class {label}, $x$" for label in labels]
    right, again, wrong = (confusion_png("m", labels, guesses, names) for guesses in (labels, labels, labels[::-1]))
    assert right == again != wrong
    with Image.open(io.BytesIO(right)) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 1000


def test_a_class_without_images_is_dark() -> None:
    assert confusion_png("m", np.array([0, 0]), np.array([0, 1]), ["a", "b"])
