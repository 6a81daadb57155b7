"""Fixtures of the tracking tests."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path, empty_store: Path) -> Path:
    """A checkout whose store has no runs."""
    shutil.copytree(empty_store, tmp_path / "mlruns")
    return tmp_path
