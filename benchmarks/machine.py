"""The machine and the software of a measurement."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import psutil

from benchmarks.subjects import PEERS_PYTHON

OURS = ("tensorflow", "keras", "numpy")
THEIRS = ("torch", "torchvision", "tensorflow-datasets")


def describe_machine() -> dict[str, Any]:
    """Returns the processor, its cores, the memory, the versions, and the load before the measurement."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": _versions(OURS, sys.path) | _versions(THEIRS, _site_packages()),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    fields = (line.partition(":") for line in info.read_text().splitlines()[:32])
    found = {key.strip(): value.strip() for key, _, value in fields}
    return (
        f"{found.get('model name', platform.machine())} (family {found.get('cpu family')}, model {found.get('model')})"
    )


def _site_packages() -> list[str]:
    return [str(path) for path in PEERS_PYTHON.parents[1].glob("lib/python*/site-packages")]


def _versions(names: tuple[str, ...], where: list[str]) -> dict[str, str]:
    found = (next(iter(importlib.metadata.distributions(name=name, path=where)), None) for name in names)
    return {name: distribution.version for name, distribution in zip(names, found, strict=True) if distribution}
