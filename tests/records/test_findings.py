import numpy as np
import pytest
from tests.support.tiny_archive import SIZE

from tiny_imagenet.records.findings import Findings, inspect


def test_a_single_color_is_found() -> None:
    pixels = np.full((3, SIZE, SIZE, 3), 7, np.uint8)
    pixels[1, -1, -1, 0] = 8
    pixels[2] = [1, 2, 3]
    found = inspect([b"a", b"b", b"c"], pixels, np.zeros(3, bool))
    assert found.single_color.tolist() == [True, False, True]
    assert found.colorless.tolist() == [True, False, False]


def test_mean_and_std_are_exact_and_do_not_depend_on_the_batches() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (9, SIZE, SIZE, 3), dtype=np.uint8)
    files, gray = [b"x"] * 9, np.zeros(9, bool)
    whole = inspect(files, pixels, gray)
    parts = Findings.join([inspect(files[:4], pixels[:4], gray[:4]), inspect(files[4:], pixels[4:], gray[4:])])
    assert whole.mean_and_std() == parts.mean_and_std()
    mean, std = whole.mean_and_std()
    assert mean == pytest.approx((pixels / 255).mean((0, 1, 2)))
    assert std == pytest.approx((pixels / 255).std((0, 1, 2)))
