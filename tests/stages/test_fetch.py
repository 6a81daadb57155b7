"""Runs the stage as a process: exit status, error line, files left."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.https_server import HOST, HttpsServer, cut_after, stall_after, status, write_certificate

from tiny_imagenet.archive.verification import content_fingerprint
from tiny_imagenet.archive.zip_archive import Archive

REPOSITORY = Path(__file__).parents[2]


class Workspace:
    """A folder with the repository's params.yaml to run the stage in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            key: value
            for key, value in os.environ.items()
            if not key.upper().startswith(("TINY_IMAGENET", "HTTPS_PROXY"))
        } | {"PYTHONPATH": str(REPOSITORY / "src"), "NO_PROXY": HOST}
        self.params = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))

    def use(self, **dataset: Any) -> None:
        self.params["datasets"]["mine"] = dataset
        self.params["dataset"] = "mine"

    def start(self) -> subprocess.Popen[str]:
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.params), encoding="utf-8")
        command = [sys.executable, str(REPOSITORY / "stages" / "fetch.py")]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=pipe, stderr=pipe, encoding="utf-8"
        )

    def run(self) -> subprocess.CompletedProcess[str]:
        process = self.start()
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def fails(self, exit_status: int = 2) -> str:
        """Runs the stage, expects one error line and an unchanged archive; returns the line."""
        before = self.archive.read_bytes() if self.archive.exists() else None
        result = self.run()
        assert (result.returncode, result.stderr.count("\n")) == (exit_status, 1), result.stderr
        assert result.stderr.startswith("error: fetch: ")
        assert (self.archive.read_bytes() if self.archive.exists() else None) == before
        return result.stderr

    @property
    def archive(self) -> Path:
        return self.folder / "data" / "archive.zip"

    def left(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "data").glob("*"))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def mine(workspace: Workspace, tmp_path: Path) -> Path:
    """A small valid archive; params.yaml holds its content fingerprint and no url."""
    path = tmp_path / "mine.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("tiny/wnids.txt", "n01\n")
        for index in range(100):
            file.writestr(f"tiny/val/images/val_{index}.JPEG", os.urandom(500))
    workspace.use(content_sha256=content_fingerprint(path))
    workspace.environment["TINY_IMAGENET_ARCHIVE"] = str(path)
    return path


@pytest.fixture
def server(workspace: Workspace, mine: Path, tmp_path: Path) -> Iterator[HttpsServer]:
    """Serves that archive; params.yaml holds its url, size and SHA-256."""
    certificate = tmp_path / "server.pem"
    write_certificate(certificate)
    del workspace.environment["TINY_IMAGENET_ARCHIVE"]
    workspace.environment["REQUESTS_CA_BUNDLE"] = str(certificate)
    body = mine.read_bytes()
    with HttpsServer(body, certificate) as server:
        workspace.use(url=server.url, size_bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
        yield server


def test_writes_the_digits_without_a_network(workspace: Workspace) -> None:
    workspace.params["dataset"] = "digits"
    workspace.environment["TINY_IMAGENET_ARCHIVE"] = "does-not-matter.zip"
    result = workspace.run()
    assert (result.returncode, result.stderr) == (0, "")
    assert workspace.left() == ["archive.zip"]
    with Archive(workspace.archive) as archive:
        assert archive.root == "digits"


def test_copies_a_local_archive(workspace: Workspace, mine: Path) -> None:
    result = workspace.run()
    assert (result.returncode, result.stderr) == (0, "")
    assert workspace.left() == ["archive.zip"]
    assert not workspace.archive.is_symlink()
    assert workspace.archive.read_bytes() == mine.read_bytes()


def test_files_left_by_a_killed_run_are_replaced(workspace: Workspace, mine: Path) -> None:
    workspace.archive.parent.mkdir()
    workspace.archive.write_bytes(mine.read_bytes()[:100])
    leftover = workspace.archive.with_name(".temporary-archive.zip-0a1b2c3d")
    leftover.mkdir()
    (leftover / ".lock").touch()
    (leftover / "new.zip").write_bytes(b"half")
    assert workspace.run().returncode == 0
    assert workspace.left() == ["archive.zip"]
    assert workspace.archive.read_bytes() == mine.read_bytes()


def test_a_missing_local_archive_is_reported(workspace: Workspace, mine: Path) -> None:
    mine.unlink()
    assert "mine.zip: no such file; correct the path, or unset the variable to download" in workspace.fails()
    assert workspace.left() == []


@pytest.mark.parametrize("damage", ["flipped", "truncated", "other", "html"])
def test_a_local_archive_of_other_content_is_refused(workspace: Workspace, mine: Path, damage: str) -> None:
    good = mine.read_bytes()
    workspace.archive.parent.mkdir()
    workspace.archive.write_bytes(b"output of an earlier run")
    if damage == "flipped":
        mine.write_bytes(good[:1000] + bytes([good[1000] ^ 1]) + good[1001:])
        assert "is damaged" in workspace.fails()
    elif damage == "truncated":
        mine.write_bytes(good[: len(good) // 2])
        assert "is not a complete zip file" in workspace.fails()
    elif damage == "other":
        with zipfile.ZipFile(mine, "a") as file:
            file.writestr("tiny/test/images/test_0.JPEG", "one more")
        assert f"expected {workspace.params['datasets']['mine']['content_sha256']}" in workspace.fails()
    else:
        mine.write_bytes(b"<html>sign in</html>")
        assert "is not a complete zip file" in workspace.fails()
    assert workspace.left() == ["archive.zip"]


def test_a_dataset_without_url_needs_a_local_archive(workspace: Workspace, mine: Path) -> None:
    del workspace.environment["TINY_IMAGENET_ARCHIVE"]
    assert "datasets.mine: has no url; add one, or set TINY_IMAGENET_ARCHIVE" in workspace.fails()


def test_downloads_and_resumes(workspace: Workspace, server: HttpsServer, mine: Path) -> None:
    server.script = [cut_after(20_000)]
    result = workspace.run()
    assert (result.returncode, result.stderr) == (0, "")
    assert workspace.archive.read_bytes() == mine.read_bytes()
    assert server.sent_bytes == len(server.body)
    assert workspace.left() == ["archive.zip"]


def test_the_next_run_resumes_a_killed_download(workspace: Workspace, server: HttpsServer, mine: Path) -> None:
    server.script = [stall_after(40_000)]
    process = workspace.start()
    part = workspace.archive.with_name("archive.zip.part")
    while not (part.exists() and part.stat().st_size > 0):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not workspace.archive.exists()
    assert workspace.run().returncode == 0
    assert workspace.archive.read_bytes() == mine.read_bytes()
    assert server.ranges[0] is None
    assert int(server.ranges[1].removeprefix("bytes=").removesuffix("-")) > 0
    assert workspace.left() == ["archive.zip"]


def test_a_download_with_a_flipped_bit_is_deleted(workspace: Workspace, server: HttpsServer) -> None:
    expected = hashlib.sha256(server.body).hexdigest()
    server.body = server.body[:-1] + bytes([server.body[-1] ^ 1])
    line = workspace.fails()
    assert f"SHA-256 is {hashlib.sha256(server.body).hexdigest()}, expected {expected}" in line
    assert workspace.left() == []


def test_a_permanent_error_is_reported_and_leaves_nothing(workspace: Workspace, server: HttpsServer) -> None:
    server.script = [status(404)]
    assert f"{server.url}: the server answered 404 Not Found; correct the url" in workspace.fails()
    assert workspace.left() == []
    assert workspace.run().returncode == 0  # the error is not remembered


def test_a_folder_that_cannot_be_written_is_reported(workspace: Workspace, mine: Path) -> None:
    workspace.archive.parent.write_text("a file where the folder should be")
    assert "data/archive.zip: cannot be written" in workspace.fails(exit_status=1)


@pytest.mark.skipif(
    "TINY_IMAGENET_ARCHIVE" not in os.environ, reason="needs the real archive: TINY_IMAGENET_ARCHIVE is not set"
)
def test_copies_the_real_archive(workspace: Workspace) -> None:
    workspace.environment["TINY_IMAGENET_ARCHIVE"] = os.environ["TINY_IMAGENET_ARCHIVE"]
    result = workspace.run()
    assert (result.returncode, result.stderr) == (0, "")
    assert workspace.archive.stat().st_size == Path(os.environ["TINY_IMAGENET_ARCHIVE"]).stat().st_size
