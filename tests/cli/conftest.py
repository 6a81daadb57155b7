"""Runs `tiny-imagenet` in the process of the tests, where TensorFlow is imported once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tiny_imagenet.cli.main import main


class Finished(NamedTuple):
    """The exit status of a command and what it printed."""

    status: int
    out: str
    err: str


Run = Callable[..., Finished]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Returns a function from the words after `tiny-imagenet` to the result."""

    def run(*words: object) -> Finished:
        try:
            status = main([str(word) for word in words])
        except SystemExit as end:
            status = int(end.code or 0)
        return Finished(status, *capsys.readouterr())

    return run
