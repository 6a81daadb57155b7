"""One sequence a seed, whoever draws which part of it, compiled or not."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_imagenet.augmentation.randomness import uniform

SEED = tf.constant([8, 5])


@pytest.mark.parametrize("shape", [(1,), (8,), (6, 5), (6, 7, 3), (4, 1025)])
def test_it_is_tensorflows_sequence(shape: tuple[int, ...]) -> None:
    assert np.array_equal(uniform(SEED, shape), tf.random.stateless_uniform(shape, SEED, alg="philox"))


@pytest.mark.parametrize("shape", [(6, 4), (6, 5), (6, 7, 3), (1, 1)])
def test_from_any_place_on(shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape))
    whole = np.asarray(uniform(SEED, (size + 9,)))
    for first in range(10):
        assert np.array_equal(np.ravel(uniform(SEED, shape, first)), whole[first : first + size]), first


def test_xla_draws_the_same() -> None:
    compiled = tf.function(lambda first: uniform(SEED, (6, 7), first), jit_compile=True)
    for first in range(5):
        assert np.array_equal(compiled(tf.constant(first)), uniform(SEED, (6, 7), first))


def test_another_seed_is_another_sequence() -> None:
    assert not np.array_equal(uniform(SEED, (8,)), uniform(tf.constant([8, 6]), (8,)))
    assert not np.array_equal(uniform(SEED, (8,)), uniform(tf.constant([9, 5]), (8,)))
