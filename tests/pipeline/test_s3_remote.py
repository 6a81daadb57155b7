"""The extra `s3`: a remote in S3 takes and gives back what DVC keeps, from a real server on this machine."""

from __future__ import annotations

import importlib.resources
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc.repo import Repo

pytest.importorskip("rclone_api", reason="its wheels are for Linux and Python 3.11 or later")
KEY, SECRET = "key-of-the-test", "secret-of-the-test"


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An empty bucket `team`: the server's address, and the folder that holds it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "buckets"
    (folder / "team").mkdir(parents=True)
    program = str(importlib.resources.files("rclone_api") / "bin" / "rclone")
    command = [program, "serve", "s3", "--auth-key", f"{KEY},{SECRET}", "--addr", f"127.0.0.1:{port}", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            while not listens(port):
                assert server.poll() is None, "the server ended"
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}", folder / "team"
        finally:
            server.kill()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_model_goes_to_s3_and_comes_back(tmp_path: Path, bucket: tuple[str, Path]) -> None:
    """As docs/released-models.md says: the address of the remote `release` is the only change."""
    address, stored = bucket
    root = tmp_path / "checkout"
    root.mkdir()
    Repo.init(str(root), no_scm=True).close()
    (root / ".dvc" / "config").write_text(
        "[core]\n    no_scm = True\n['remote \"release\"']\n    url = s3://team/models\n"
    )
    (root / ".dvc" / "config.local").write_text(
        f"['remote \"release\"']\n    endpointurl = {address}\n"
        f"    access_key_id = {KEY}\n    secret_access_key = {SECRET}\n"
    )
    model = root / "models" / "cnn" / "model.keras"
    model.parent.mkdir(parents=True)
    model.write_bytes(bytes(range(256)) * 4096)
    content = model.read_bytes()
    (root / "dvc.yaml").write_text(
        '{"stages": {"train": {"cmd": "false", "outs": [{"models/cnn/model.keras": {"remote": "release"}}]}}}'
    )
    with Repo(str(root)) as repo:
        repo.commit(force=True)
        assert repo.push() == 1
    assert [path.stat().st_size for path in stored.rglob("*") if path.is_file()] == [len(content)]
    shutil.rmtree(root / "models")
    shutil.rmtree(root / ".dvc" / "cache")
    with Repo(str(root)) as repo:
        repo.pull()
    assert model.read_bytes() == content
