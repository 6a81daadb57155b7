"""The processors that this process may use."""

from __future__ import annotations

import os


def available_cpus() -> int:
    """Returns their number: the CPU affinity where the system has one (Linux), else all of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
