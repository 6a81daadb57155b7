"""Random numbers as a function of a seed and of their index in its sequence: the same on every device, XLA or not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

PHILOX = 1  # TensorFlow's number for the generator of Salmon et al., "Parallel random numbers", 2011
WORDS_PER_COUNT = 4  # random words that Philox gives for each value of its counter


def uniform(seed: tf.Tensor, shape: Sequence[int], first: tf.Tensor | int = 0) -> tf.Tensor:
    """Draws numbers from a seed's sequence, uniform from 0 to 1.

    Args:
        seed: int32 (2,).
        shape: Of the result.
        first: Index in the sequence of the first number, int64.

    Returns:
        float32. From index 0 on they are those of `tf.random.stateless_uniform` without XLA; with XLA TensorFlow makes
        other numbers of the same bits.
    """
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    first, size = tf.cast(first, tf.int64), math.prod(shape)
    # The counter's high half need not carry: its low half begins at 0.
    counter = tf.stack([counter[0] + tf.cast(first // WORDS_PER_COUNT, tf.uint64), counter[1]])
    bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[size + WORDS_PER_COUNT - 1], key=key, counter=counter, alg=PHILOX, dtype=tf.int32
    )
    bits = tf.slice(bits, [first % WORDS_PER_COUNT], [size])
    mantissa, one = bits & 0x7FFFFF, 0x3F800000  # as float32's bits: from 1 to 2
    return tf.reshape(tf.bitcast(mantissa | one, tf.float32) - 1.0, shape)


@tf.function(jit_compile=True)
def random_bit(seed: int, numbers: tf.Tensor) -> tf.Tensor:
    """Returns a random bit for each number, bool, a function of it and of the seed; int32 in, any shape.

    The hash is the finalizer of MurmurHash3 (Appleby, 2011), of the seed and then of the number.
    """
    return _hash(tf.bitwise.bitwise_xor(_hash(tf.constant(seed)), numbers)) < 0


def _hash(value: tf.Tensor) -> tf.Tensor:
    bits = tf.bitcast(value, tf.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        bits = tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint32))) * factor
    return tf.bitcast(tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(16, tf.uint32))), tf.int32)
