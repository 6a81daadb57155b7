"""One worker of tests/distribute/test_cluster.py: prints its results as a line of JSON."""

import json
import sys
import time

from tiny_imagenet.distribute import devices  # isort: skip  (before TensorFlow)
import numpy as np
import tensorflow as tf

from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.core.process import stage_process
from tiny_imagenet.distribute import cluster

BITS = {
    "floats": np.array([-0.0, np.nan, np.inf, 1e-45, 1.0], np.float32),
    "signalling": np.frombuffer(b"\x01\x00\xa0\x7f", np.float32),
    "short": np.arange(-3, 4, dtype=np.int16).reshape(7, 1),
}


def mismatch(strategy: tf.distribute.Strategy, **inputs: object) -> str:
    try:
        cluster.same_on_all(strategy, inputs)
    except PipelineError as error:
        return str(error)
    return ""


def communicate(strategy: tf.distribute.Strategy) -> dict[str, object]:
    chief = cluster.is_chief(strategy)
    state = cluster.broadcast_state(strategy, (BITS, {"step": 7, "sums": [0.1]}) if chief else None)
    assert state is not None
    arrays, metadata = state
    results: dict[str, object] = {
        "name": devices.device_name(strategy),
        "replicas": strategy.num_replicas_in_sync,
        "chief": chief,
        "metadata": metadata,
        "bits": all(
            arrays[key].tobytes() == array.tobytes()
            and (arrays[key].dtype, arrays[key].shape) == (array.dtype, array.shape)
            for key, array in BITS.items()
        ),
        "no_state": cluster.broadcast_state(strategy, None),
        "no_bytes": cluster.broadcast(strategy, b"" if chief else None) == b"",
        "agreed": [cluster.agree(strategy, 5 if chief else 3, stop) for stop in (False, chief, not chief)],
        "same": mismatch(strategy, settings={"lr": 0.1}, data="abc"),
        "other": mismatch(strategy, settings={"lr": 0.1}, data="abc" if chief else "abd"),
    }
    if chief:
        time.sleep(1)  # the others must wait for what the chief writes
    cluster.finish(strategy)
    return results | {"finished": time.time()}


def run_endlessly(strategy: tf.distribute.Strategy) -> None:
    print("started", flush=True)
    while True:
        cluster.agree(strategy, 1, False)


def run(mode: str) -> None:
    cluster.START_SECONDS = 2 if mode == "alone" else 120
    strategy = devices.make_strategy("cpu", "auto")
    with cluster.watch(strategy):
        if mode == "endless":
            run_endlessly(strategy)
        print(json.dumps(communicate(strategy)), flush=True)


if __name__ == "__main__":
    with stage_process("worker"):
        run(sys.argv[1])
