"""TF_CONFIG, TensorFlow's environment variable that lists the workers of a training."""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import dataclass

from tiny_imagenet.core.errors import InputError

EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The workers of a training.

    Attributes:
        names: Such as "worker 0", the chief first.
        addresses: The host:port of each.
        index: The index of this process among them.
    """

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    index: int

    def unreachable(self) -> list[str]:
        """Returns the name and address of each other worker that accepts no connection."""
        return [
            f"{name} ({address})"
            for i, (name, address) in enumerate(zip(self.names, self.addresses, strict=True))
            if i != self.index and not _listens(address)
        ]


def read_tf_config() -> Cluster | None:
    """Returns the cluster in TF_CONFIG, or None if it is not set or lists one worker.

    Raises:
        InputError: It is invalid, or lists jobs that this pipeline does not use.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        config = json.loads(text)
        jobs, task = config.get("cluster", {}), config.get("task", {})
        tasks = [(kind, i) for kind in ("chief", "worker") for i in range(len(jobs.get(kind, [])))]
        addresses = [str(jobs[kind][i]) for kind, i in tasks]
        own = (task.get("type"), int(task.get("index", -1)))
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError("TF_CONFIG", f"cannot be read ({error})", f"set it as in {EXAMPLE}") from None
    for job in jobs:
        if job not in ("chief", "worker"):
            raise InputError(
                "TF_CONFIG", f"names a job {job!r}, not used here", "name `worker`s, and at most a `chief`"
            )
    for address in addresses:
        if not re.fullmatch(r"[^\s:/]+:\d{1,5}|\[[^\s\]]+\]:\d{1,5}", address):
            raise InputError("TF_CONFIG", f"{address!r} is no host:port", f"set it as in {EXAMPLE}")
    if len(set(addresses)) < len(addresses) or len(jobs.get("chief", [])) > 1:
        raise InputError("TF_CONFIG", "two workers have one address, or there are two chiefs", "correct `cluster`")
    if len(tasks) < 2:
        return None
    if own not in tasks:
        raise InputError("TF_CONFIG", f"task {own[0]} {own[1]} is not in the cluster", f"set it as in {EXAMPLE}")
    names = tuple("chief" if kind == "chief" else f"worker {i}" for kind, i in tasks)
    return Cluster(names, tuple(addresses), tasks.index(own))


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
    except OSError:
        return False
    return True
