from typing import Any

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tiny_imagenet.augmentation.mixing import NUM_RANDOM, Mix, sample_box, sample_mix, symmetric_beta


def numbers(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((NUM_RANDOM, count)).astype(np.float32)


def mixes(count: int, batch_size: int = 7, image_size: int = 16, **alphas: float) -> list[Mix]:
    alphas = {"mixup": 0.0, "cutmix": 0.0} | alphas
    made = tf.function(lambda rng: sample_mix(rng, batch_size, image_size, **alphas), autograph=False)
    return [Mix(*map(np.asarray, made(tf.constant(column)))) for column in numbers(count).T]


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.5, 1.0, 4.0])
def test_lam_has_the_beta_distribution(alpha: float) -> None:
    lam = np.asarray(symmetric_beta(*map(tf.constant, numbers(20_000)[:2]), alpha))
    assert np.isfinite(lam).all()
    assert 0 <= lam.min() <= lam.max() <= 1
    at = np.linspace(0.01, 0.99, 99)  # next to 1, float32 has few values
    cumulative = (lam[:, None] <= at).mean(axis=0)
    limit = 1.95 / np.sqrt(20_000)  # Kolmogorov's at 0.1 %
    assert np.abs(cumulative - scipy.stats.beta(alpha, alpha).cdf(at)).max() < limit


def test_the_extreme_random_numbers_give_a_finite_lam() -> None:
    for alpha in (0.01, 1.0, 10.0):
        lam = symmetric_beta(tf.constant([0.0, 0.0, 1.0 - 2**-23]), tf.constant([0.0, 0.25, 0.75]), alpha)
        assert np.isfinite(lam).all()


def test_the_shift_is_uniform_and_never_zero() -> None:
    found = [int(mix.shift) for mix in mixes(600, mixup=1.0)]
    counts = np.bincount(found, minlength=7)
    assert counts[0] == 0
    assert len(counts) == 7
    assert np.abs(counts[1:] - 100).max() < 5 * np.sqrt(100)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_lam_is_the_mean_weight(kind: str) -> None:
    for mix in mixes(100, **{kind: 1.0}):
        assert mix.weights.shape == (16, 16, 1)
        assert mix.lam == pytest.approx(mix.weights.mean(), abs=1e-6)
        assert (len(np.unique(mix.weights)) == 1) or (kind == "cutmix" and set(np.unique(mix.weights)) == {0, 1})


def reference_box(lam: float, center: Any, size: int) -> list[float]:
    """Returns the box of the authors' `rand_bbox`, its random numbers given."""
    cut = int(size * np.sqrt(1.0 - lam))
    middle = [int(at * size) for at in center]
    first, last = (np.clip([at + sign * (cut // 2) for at in middle], 0, size) for sign in (-1, 1))
    return [*first, *(last - first)]


def test_the_box_is_that_of_the_authors_program() -> None:
    for lam, *center in np.float64(numbers(300)[:3].T):
        box = sample_box(tf.constant(np.float32(lam)), tf.constant(np.float32(center)), 48)
        assert np.asarray(box).tolist() == reference_box(lam, center, 48)
