"""Random numbers as a function of a seed and an index: the same on every device, with XLA and without."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

PHILOX = 1  # TensorFlow's enum value of the generator (Salmon et al., "Parallel random numbers", 2011)
WORDS_PER_COUNT = 4  # random words for each value of Philox' counter


def uniform(seed: tf.Tensor, shape: Sequence[int], first: tf.Tensor | int = 0) -> tf.Tensor:
    """Returns a part of a seed's sequence of numbers, uniform from 0 to 1.

    Args:
        seed: int32 (2,).
        shape: Shape of the result.
        first: Index in the sequence of the first number, int32.

    Returns:
        float32. From index 0 on they equal those of `tf.random.stateless_uniform` without XLA (with XLA it converts
        the same bits to other numbers).
    """
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    size = math.prod(shape)
    # No carry into the counter's high half: its low half begins at 0.
    counter = tf.stack([counter[0] + tf.cast(first // WORDS_PER_COUNT, tf.uint64), counter[1]])
    bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[size + WORDS_PER_COUNT - 1], key=key, counter=counter, alg=PHILOX, dtype=tf.int32
    )
    mantissa, one = bits & 0x7FFFFF, 0x3F800000  # as the bits of a float32: from 1 to 2
    # Sliced as float32, by an int32: on a GPU a slice of int32 and an int64 index are both copied to the host.
    numbers = tf.slice(tf.bitcast(mantissa | one, tf.float32), [first % WORDS_PER_COUNT], [size])
    return tf.reshape(numbers - 1.0, shape)


@tf.function(jit_compile=True, autograph=False)
def random_bit(seed: int, numbers: tf.Tensor) -> tf.Tensor:
    """Returns a random bit, bool, for each number, an integer below 2^31: a function of the number and the seed.

    It is a hash of the seed, then of the number, by the finalizer of MurmurHash3 (Appleby, 2011).
    """
    return _hash(tf.bitwise.bitwise_xor(_hash(tf.constant(seed)), tf.cast(numbers, tf.int32))) < 0


def _hash(value: tf.Tensor) -> tf.Tensor:
    bits = tf.bitcast(value, tf.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        bits = tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint32))) * factor
    return tf.bitcast(tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(16, tf.uint32))), tf.int32)
