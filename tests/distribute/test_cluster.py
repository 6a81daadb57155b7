"""Communication of two worker processes on this machine, and the loss of one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tiny_imagenet.distribute import devices  # isort: skip  (before TensorFlow)
from tiny_imagenet.distribute import cluster

WORKER = Path(__file__).parents[1] / "support" / "cluster_worker.py"
SOURCE = Path(devices.__file__).parents[2]
LOST = "was lost (its process or machine is gone); start all workers again: they resume from the last checkpoint"


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def tf_config(index: int, **jobs: list[str]) -> str:
    kind = "chief" if "chief" in jobs and index == 0 else "worker"
    index -= "chief" in jobs and kind == "worker"
    return json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})


@contextmanager
def workers(mode: str, count: int = 2, *, chief: bool = False) -> Iterator[list[subprocess.Popen[str]]]:
    """Starts the first `count` workers of a cluster of two; kills those that still run at the end."""
    first, second = (f"localhost:{port}" for port in free_ports(2))
    jobs = {"chief": [first], "worker": [second]} if chief else {"worker": [first, second]}
    started = [
        subprocess.Popen(
            [sys.executable, str(WORKER), mode],
            env=os.environ | {"PYTHONPATH": str(SOURCE), "TF_CONFIG": tf_config(i, **jobs)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]
    try:
        yield started
    finally:
        for each in started:
            each.kill()
            each.communicate()


def test_all_workers_receive_the_chiefs_state() -> None:
    with workers("communicate", chief=True) as started:
        ends = [each.communicate(timeout=300) for each in started]
    assert [(each.returncode, err) for each, (_, err) in zip(started, ends, strict=True)] == [(0, "")] * 2
    assert ends[0][0].startswith("chief: waiting for worker 0, at most ")
    chief, other = (json.loads(out.splitlines()[-1]) for out, _ in ends)
    assert (chief.pop("chief"), other.pop("chief")) == (True, False)
    assert abs(chief.pop("finished") - other.pop("finished")) < 0.5  # the chief took a second longer
    assert chief == other
    assert chief["name"].startswith("2 workers x CPU (")
    assert chief["replicas"] == 2
    assert chief["metadata"] == {"step": 7, "sums": [0.1]}
    assert chief["bits"]
    assert chief["no_state"] is None
    assert chief["no_bytes"]
    assert chief["agreed"] == [[5, False], [5, True], [5, True]]
    assert chief["same"] == ""
    assert chief["other"].startswith("worker 0: does not have the chief's data; all workers need the same checkout")


def lose_one(which: int, how: signal.Signals) -> None:
    """Sends a signal to one of two workers; the other must end with one line that names it."""
    with workers("endless") as started:
        for each in started:
            assert each.stdout is not None
            while "started" not in (line := each.stdout.readline()):
                assert line, each.communicate()
        started[which].send_signal(how)
        left = started[1 - which]
        assert left.communicate(timeout=120) == ("", f"error: worker: worker {which}: {LOST}\n")
        assert left.returncode == 1


def test_the_others_end_when_the_chief_is_killed() -> None:
    lose_one(0, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize(("which", "how"), [(1, signal.SIGKILL), (0, signal.SIGSTOP), (1, signal.SIGSTOP)])
def test_the_others_end_when_a_worker_is_lost(which: int, how: signal.Signals) -> None:
    lose_one(which, how)


def test_a_worker_that_does_not_start_is_named() -> None:
    with workers("alone", count=1) as (started,):
        out, err = started.communicate(timeout=300)
    assert started.returncode == 1
    assert out == "worker 0: waiting for worker 1, at most 2 s\n"
    assert err.startswith("error: worker: worker 1 (localhost:")
    assert err.endswith("): did not start within 2 s; start all workers, each with its own `index`, at the same time\n")


def test_one_process_communicates_with_nobody() -> None:
    strategy = devices.make_strategy("cpu", "single")
    assert cluster.is_chief(strategy)
    assert cluster.worker_count(strategy) == 1
    assert cluster.agree(strategy, 3, True) == (3, True)
    assert cluster.broadcast(strategy, b"x") == b"x"
    assert cluster.broadcast_state(strategy, None) is None
    cluster.same_on_all(strategy, {"settings": object()})
    with cluster.watch(strategy):
        cluster.finish(strategy)
