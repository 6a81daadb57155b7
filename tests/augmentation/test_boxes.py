import math

import numpy as np
import pytest
import tensorflow as tf

from tiny_imagenet.augmentation.boxes import (
    NUM_RANDOM,
    TRIES,
    erase,
    inside,
    sample_boxes,
    sample_crops,
    sample_erased,
)

BATCH = 40_000
RANDOM = np.random.default_rng(0).random((NUM_RANDOM, BATCH)).astype(np.float32)


def reference(
    numbers: np.ndarray, size: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> list[int] | None:
    """Returns torchvision's box of one image, by its numbers; None where no try fits."""
    for i in range(TRIES):
        area = size * size * (scale[0] + (scale[1] - scale[0]) * numbers[i])
        low, high = math.log(ratio[0]), math.log(ratio[1])
        shape = math.exp(low + (high - low) * numbers[TRIES + i])
        width, height = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < width <= size and 0 < height <= size:
            return [int(numbers[-2] * (size - width + 1)), int(numbers[-1] * (size - height + 1)), width, height]
    return None


@pytest.mark.parametrize(("scale", "ratio"), [((0.08, 1.0), (0.75, 1.3333)), ((0.9, 1.0), (0.5, 1.9))])
def test_boxes_are_the_references(scale: tuple[float, float], ratio: tuple[float, float]) -> None:
    boxes, found = sample_boxes(tf.constant(RANDOM[:, :500]), 64, scale, ratio, 64)
    expected = [reference(numbers, 64, scale, ratio) for numbers in np.float64(RANDOM[:, :500]).T]
    assert np.asarray(found).tolist() == [box is not None for box in expected]
    same = [box is None or box == ours for box, ours in zip(expected, np.asarray(boxes).tolist(), strict=True)]
    assert np.mean(same) > 0.99  # float32 rounds a half the other way here and there


def test_boxes_cover_the_whole_image_and_stay_inside_it() -> None:
    boxes, found = sample_boxes(tf.constant(RANDOM), 64, (0.02, 0.33), (0.3, 3.3), 63)
    left, top, width, height = np.asarray(boxes).T
    assert np.all(found)
    assert min(left.min(), top.min()) == 0
    assert (left + width).max() == (top + height).max() == 64
    assert 1 <= min(width.min(), height.min()) < max(width.max(), height.max()) <= 63
    assert abs(np.corrcoef(left / (65 - width), top / (65 - height))[0, 1]) < 0.03


@pytest.mark.parametrize(
    ("ratio", "box"),
    [((0.75, 1.3333), [0, 0, 64, 64]), ((2.0, 4.0), [0, 16, 64, 32]), ((0.25, 0.5), [16, 0, 32, 64])],
)
def test_where_no_crop_fits_it_is_the_largest_centered_one(ratio: tuple[float, float], box: list[int]) -> None:
    crops = sample_crops(tf.ones((NUM_RANDOM, 3)) * 0.99, 64, (4.0, 4.0), ratio)
    assert np.asarray(crops).tolist() == [box] * 3


def test_inside_marks_the_pixels_of_each_box() -> None:
    boxes = np.float32([[2, 1, 3, 4], [0, 0, 8, 8], [5, 5, 0, 0]])
    expected = np.zeros((3, 8, 8, 1), bool)
    for mask, (left, top, width, height) in zip(expected, boxes.astype(int), strict=True):
        mask[top : top + height, left : left + width] = True
    assert np.array_equal(inside(tf.constant(boxes), 8), expected)


def test_erase_fills_the_box_with_gray() -> None:
    images = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    erased = np.asarray(erase(tf.constant(images), tf.constant([[2.0, 1, 3, 4], [0, 0, 0, 0]])))
    images[0, 1:5, 2:5] = 127.5
    assert np.array_equal(erased, images)


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_boxes_are_erased_with_the_given_probability_and_the_sizes_of_the_paper(probability: float) -> None:
    numbers = np.random.default_rng(1).random((1 + NUM_RANDOM, BATCH)).astype(np.float32)
    boxes = np.asarray(sample_erased(tf.constant(numbers), 64, probability))
    area, ratio = boxes[:, 2] * boxes[:, 3] / 64**2, boxes[:, 3] / np.maximum(boxes[:, 2], 1)
    chosen = area > 0
    assert abs(chosen.mean() - probability) <= 5 * math.sqrt(probability * (1 - probability) / BATCH)
    if probability:
        assert boxes[:, 2:].max() == 63  # torchvision erases no whole row or column
        assert 0.018 < area[chosen].min() < area[chosen].max() < 0.34
        assert 0.25 < ratio[chosen].min() < 0.35
        assert 2.9 < ratio[chosen].max() < 3.9
