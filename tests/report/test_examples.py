"""Example images and their guesses."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.classes import first_name
from tiny_imagenet.report.examples import choose_labels, decode, first_examples, guesses, images_at
from tiny_imagenet.report.predictions import Predictions

CLASSES = ["goldfish, Carassius auratus", "grasshopper, hopper", "sports car, sport car", "hopper"]


def png(value: int, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 2), (value, value, value)).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def records(labels: list[int]) -> list[dict[str, object]]:
    return [{"image/class/label": label, "image/encoded": png(index)} for index, label in enumerate(labels)]


def test_classes_are_found_by_any_of_their_names_in_upper_or_lower_case() -> None:
    assert choose_labels(CLASSES, ["Sport Car", "grasshopper", "unicorn"]) == ([2, 1], ["unicorn"])


def test_of_two_classes_with_one_name_the_first_is_chosen() -> None:
    assert choose_labels(CLASSES, ["hopper"]) == ([1], [])


def test_the_first_classes_stand_in_if_no_name_is_known() -> None:
    assert choose_labels(CLASSES, ["unicorn"]) == ([0, 1, 2], ["unicorn"])
    assert choose_labels(CLASSES[:2], []) == ([0, 1], [])


def test_the_first_image_of_each_label_in_the_order_of_the_labels() -> None:
    found = first_examples(records([0, 2, 1, 2, 1]), [1, 2, 3])
    assert [(example.position, example.label) for example in found] == [(2, 1), (1, 2)]
    assert [int(example.image[0, 0, 0]) for example in found] == [2, 1]


def test_grayscale_becomes_three_equal_channels() -> None:
    image = decode(png(7, "L"))
    assert image.shape == (2, 4, 3)
    assert np.all(image == 7)


def test_guesses_are_those_of_the_example() -> None:
    example = first_examples(records([0, 2]), [2])[0]
    names = [first_name(words) for words in CLASSES]
    top_5, probability = np.array([[0, 1], [3, 2]]), np.array([[0.9, 0.1], [0.75, 0.25]])
    predictions = Predictions(np.array([0, 2]), top_5, probability)
    assert guesses(predictions, example, names) == [("hopper", 0.75), ("sports car", 0.25)]
    with pytest.raises(InputError, match="is of other val records"):
        guesses(Predictions(np.array([0, 1]), top_5, probability), example, names)


def test_images_are_found_by_their_index() -> None:
    found = images_at(records([0, 2, 1, 2]), {3, 1})
    assert sorted(found) == [1, 3]
    assert found[3] == png(3)
    assert images_at(records([0]), set()) == {}
