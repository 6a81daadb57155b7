"""TF_CONFIG: the workers that train together, as TensorFlow's users name them."""

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
    """The workers by address, the chief first, and which of them this process is."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    index: int

    def silent(self) -> list[str]:
        """Returns the others, by name and address, at which nothing listens."""
        return [
            f"{name} ({address})"
            for i, (name, address) in enumerate(zip(self.names, self.addresses, strict=True))
            if i != self.index and not _listens(address)
        ]


def read_tf_config() -> Cluster | None:
    """Returns the cluster that TF_CONFIG names, or None if it is not set or names one worker.

    Raises:
        InputError: TensorFlow would not understand it, or it has parts that this pipeline has no use for.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        config = json.loads(text)
        jobs, task = config.get("cluster", {}), config.get("task", {})
        places = [(kind, i) for kind in ("chief", "worker") for i in range(len(jobs.get(kind, [])))]
        addresses = [str(jobs[kind][i]) for kind, i in places]
        here = (task.get("type"), int(task.get("index", -1)))
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
    if len(places) < 2:
        return None
    if here not in places:
        raise InputError("TF_CONFIG", f"task {here[0]} {here[1]} is not in the cluster", f"set it as in {EXAMPLE}")
    names = tuple("chief" if kind == "chief" else f"worker {i}" for kind, i in places)
    return Cluster(names, tuple(addresses), places.index(here))


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
    except OSError:
        return False
    return True
