import sys

from tiny_imagenet.records.workers import run_in_processes


def imported(name: str) -> bool:
    return name in sys.modules


def test_a_worker_starts_with_tensorflow_and_without_keras() -> None:
    assert run_in_processes(imported, ["tensorflow", "keras"], [1, 1], "names", 1) == [True, False]
