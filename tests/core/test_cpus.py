import os
import subprocess
import sys

import pytest

from tiny_imagenet.core.cpus import available_cpus

LIMITED = """
import os
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from tiny_imagenet.core.cpus import available_cpus
print(available_cpus())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no CPU affinity")
def test_only_the_processors_of_the_affinity_count() -> None:
    environment = os.environ | {"PYTHONPATH": "src"}
    found = subprocess.run([sys.executable, "-c", LIMITED], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == "1\n"


def test_without_an_affinity_all_processors_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert available_cpus() == os.cpu_count()


def test_an_unknown_number_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cpus() == 1
