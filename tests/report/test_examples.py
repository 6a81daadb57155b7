"""Which images the report shows, and the guesses beside them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.report.examples import choose_labels, decode, first_examples, first_name, guesses, images_at

CLASSES = ["goldfish, Carassius auratus", "grasshopper, hopper", "sports car, sport car", "hopper"]


def png(value: int, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 2), (value, value, value)).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def records(labels: list[int]) -> list[dict[str, object]]:
    return [{"image/class/label": label, "image/encoded": png(place)} for place, label in enumerate(labels)]


def test_classes_are_found_by_any_of_their_names_in_any_case() -> None:
    assert choose_labels(CLASSES, ["Sport Car", "grasshopper", "unicorn"]) == ([2, 1], ["unicorn"])


def test_of_two_classes_with_the_name_the_first_is_taken() -> None:
    assert choose_labels(CLASSES, ["hopper"]) == ([1], [])


def test_where_no_class_is_known_the_first_ones_are_shown() -> None:
    assert choose_labels(CLASSES, ["unicorn"]) == ([0, 1, 2], ["unicorn"])
    assert choose_labels(CLASSES[:2], []) == ([0, 1], [])


def test_the_first_image_of_each_label_in_the_labels_order() -> None:
    found = first_examples(records([0, 2, 1, 2, 1]), [1, 2, 3])
    assert [(example.position, example.label) for example in found] == [(2, 1), (1, 2)]
    assert [int(example.image[0, 0, 0]) for example in found] == [2, 1]


def test_greyscale_becomes_three_equal_channels() -> None:
    image = decode(png(7, "L"))
    assert image.shape == (2, 4, 3)
    assert np.all(image == 7)


def test_guesses_are_those_of_the_examples_place() -> None:
    example = first_examples(records([0, 2]), [2])[0]
    names = [first_name(words) for words in CLASSES]
    predictions = {
        "label": np.array([0, 2]),
        "top_5": np.array([[0, 1], [3, 2]]),
        "top_5_probability": np.array([[0.9, 0.1], [0.75, 0.25]]),
    }
    assert guesses(predictions, example, names) == [("hopper", 0.75), ("sports car", 0.25)]
    with pytest.raises(InputError, match="is of other val records"):
        guesses(predictions | {"label": np.array([0, 1])}, example, names)


def test_images_are_found_by_their_place() -> None:
    found = images_at(records([0, 2, 1, 2]), {3, 1})
    assert sorted(found) == [1, 3]
    assert found[3] == png(3)
    assert images_at(records([0]), set()) == {}
