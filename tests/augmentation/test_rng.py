"""Random numbers: one sequence per seed, in any part, with XLA and without."""

import numpy as np
import pytest
import tensorflow as tf

from tiny_imagenet.augmentation.rng import random_bit, uniform

SEED = tf.constant([8, 5])


@pytest.mark.parametrize("shape", [(1,), (8,), (6, 5), (6, 7, 3), (4, 1025)])
def test_the_sequence_is_tensorflows(shape: tuple[int, ...]) -> None:
    assert np.array_equal(uniform(SEED, shape), tf.random.stateless_uniform(shape, SEED, alg="philox"))


@pytest.mark.parametrize("shape", [(6, 4), (6, 5), (6, 7, 3), (1, 1)])
def test_a_part_of_the_sequence_from_any_index(shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape))
    whole = np.asarray(uniform(SEED, (size + 9,)))
    for first in range(10):
        assert np.array_equal(np.ravel(uniform(SEED, shape, first)), whole[first : first + size]), first


def test_xla_gives_the_same_numbers() -> None:
    compiled = tf.function(lambda first: uniform(SEED, (6, 7), first), jit_compile=True, autograph=False)
    for first in range(5):
        assert np.array_equal(compiled(tf.constant(first)), uniform(SEED, (6, 7), first))


def test_another_seed_gives_another_sequence() -> None:
    assert not np.array_equal(uniform(SEED, (8,)), uniform(tf.constant([8, 6]), (8,)))
    assert not np.array_equal(uniform(SEED, (8,)), uniform(tf.constant([9, 5]), (8,)))


def test_random_bits_are_balanced_and_independent_of_the_seed() -> None:
    numbers = tf.range(20_000)
    one, again, other = (np.asarray(random_bit(seed, numbers)) for seed in (1, 1, 2))
    assert one.dtype == bool
    assert np.array_equal(one, again)
    assert abs(one.mean() - 0.5) < 5 * 0.5 / np.sqrt(20_000)
    assert abs((one == other).mean() - 0.5) < 5 * 0.5 / np.sqrt(20_000)
    assert np.array_equal(random_bit(1, numbers[5:9]), one[5:9])
