from typing import Any

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tiny_imagenet.augmentation.mixing import NUMBERS, Mix, draw_box, draw_mix, symmetric_beta


def numbers(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((NUMBERS, count)).astype(np.float32)


def mixes(count: int, batch_size: int = 7, image_size: int = 16, **alphas: float) -> list[Mix]:
    made = tf.function(lambda drawn: draw_mix(drawn, batch_size, image_size, **{"mixup": 0.0, "cutmix": 0.0} | alphas))
    return [Mix(*map(np.asarray, made(tf.constant(column)))) for column in numbers(count).T]


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.5, 1.0, 4.0])
def test_shares_are_of_the_beta_distribution(alpha: float) -> None:
    shares = np.asarray(symmetric_beta(*map(tf.constant, numbers(20_000)[:2]), alpha))
    assert np.isfinite(shares).all()
    assert 0 <= shares.min() <= shares.max() <= 1
    at = np.linspace(0.01, 0.99, 99)  # float32 tells little apart next to 1
    cumulative = (shares[:, None] <= at).mean(axis=0)
    assert np.abs(cumulative - scipy.stats.beta(alpha, alpha).cdf(at)).max() < 1.95 / np.sqrt(
        20_000
    )  # Kolmogorov's 0.1 %


def test_the_least_numbers_that_can_be_drawn_give_a_share() -> None:
    for alpha in (0.01, 1.0, 10.0):
        share = symmetric_beta(tf.constant([0.0, 0.0, 1.0 - 2**-23]), tf.constant([0.0, 0.25, 0.75]), alpha)
        assert np.isfinite(share).all()


def test_a_partner_is_any_other_place() -> None:
    found = [int(mix.distance) for mix in mixes(600, mixup=1.0)]
    counts = np.bincount(found, minlength=7)
    assert counts[0] == 0
    assert len(counts) == 7
    assert np.abs(counts[1:] - 100).max() < 5 * np.sqrt(100)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_the_share_is_the_mean_weight(kind: str) -> None:
    for mix in mixes(100, **{kind: 1.0}):
        assert mix.weights.shape == (16, 16, 1)
        assert mix.share == pytest.approx(mix.weights.mean(), abs=1e-6)
        assert (len(np.unique(mix.weights)) == 1) or (kind == "cutmix" and set(np.unique(mix.weights)) == {0, 1})


def reference_box(share: float, centre: Any, size: int) -> list[float]:
    """`rand_bbox` of CutMix's own program, with its random numbers given."""
    cut = int(size * np.sqrt(1.0 - share))
    middle = [int(at * size) for at in centre]
    first, last = (np.clip([at + sign * (cut // 2) for at in middle], 0, size) for sign in (-1, 1))
    return [*first, *(last - first)]


def test_the_box_is_that_of_the_authors_program() -> None:
    for share, *centre in np.float64(numbers(300)[:3].T):
        box = draw_box(tf.constant(np.float32(share)), tf.constant(np.float32(centre)), 48)
        assert np.asarray(box).tolist() == reference_box(share, centre, 48)
