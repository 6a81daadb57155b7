"""The rate of the machine: a float32 product of two square matrices in TensorFlow."""

import time

import tensorflow as tf

from benchmarks.serving import serve

SIZE, SECONDS = 2048, 1.5


def main() -> None:
    left, right = (tf.random.normal((SIZE, SIZE)) for _ in range(2))
    product = tf.function(lambda: tf.matmul(left, right))
    product()

    def measure():
        count, began = 0, time.perf_counter()
        while (took := time.perf_counter() - began) < SECONDS:
            product()
            count += 1
        return {"gflop_per_second": 2 * SIZE**3 * count / took / 1e9}

    serve(measure)


if __name__ == "__main__":
    main()
