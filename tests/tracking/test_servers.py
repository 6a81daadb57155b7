"""The servers of MLflow: they end with the command, on a port of their own, and only on a store that there is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.tiny_records import REPOSITORY

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.tracking import servers

MODEL = "models:/digits/1"
SERVE = """
import sys
from tiny_imagenet.tracking import servers
servers.sys.executable = sys.argv[1]
sys.exit(servers._serve(["server"], {}, int(sys.argv[2]), "health", "ready"))
"""
SERVER = """#!{python}
import sys
from http.server import HTTPServer, SimpleHTTPRequestHandler
SimpleHTTPRequestHandler.do_GET = lambda self: self.send_response(200) or self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), SimpleHTTPRequestHandler).serve_forever()
"""
RECORDER = """#!{python}
import json, os, sys
json.dump([sys.argv, dict(os.environ)], open("started.json", "w"))
sys.exit(3)
"""


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Returns a function that writes an executable file, which stands for Python with MLflow."""

    def write(text: str) -> str:
        path = tmp_path / "program"
        path.write_text(text.format(python=sys.executable))
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind((servers.HOST, 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_the_command(program, port: int, number: signal.Signals) -> None:
    """Although it has a session of its own; a proxy of the environment is not asked whether it answers."""
    environment = {key: value for key, value in os.environ.items() if key.lower() != "no_proxy"}
    environment |= {"PYTHONPATH": str(REPOSITORY / "src"), "http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", SERVE, program(SERVER), str(port)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            assert process.wait(30) == 0
        finally:
            process.kill()
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect((servers.HOST, port))


@pytest.mark.usefixtures("signals")
def test_a_hangup_stays_ignored(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under `nohup`
    monkeypatch.setattr(servers.sys, "executable", shutil.which("true"))
    assert servers._serve([], {}, port, "health", "ready") == 0
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.parametrize("serve", [servers.serve_ui, lambda root, port: servers.serve_model(root, MODEL, port)])
def test_a_port_that_cannot_be_used_is_one_line(root: Path, serve: Callable[[Path, int], int]) -> None:
    with socket.create_server((servers.HOST, 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"^--port: {taken} is in use; name another from 1 to 65535 with --port$"):
            serve(root, taken)
    for number in (0, -1, 2**16):
        with pytest.raises(InputError, match=f"^--port: {number} is no port; "):
            serve(root, number)


@pytest.mark.usefixtures("signals")
def test_the_address_of_the_store_is_no_argument(root: Path, port: int, program, monkeypatch) -> None:
    """Any user of the machine can list those, and the address may have a password."""
    uri = f"sqlite:///{root}/named.db"
    monkeypatch.chdir(root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr(servers.sys, "executable", program(RECORDER))
    assert servers.serve_ui(root, port) == 3
    words, environment = json.loads((root / "started.json").read_text())
    assert not [word for word in words if "named.db" in word]
    assert environment["MLFLOW_BACKEND_STORE_URI"] == uri


def test_a_checkout_that_is_missing_is_one_line_and_stays_missing(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    with pytest.raises(InputError, match=r"absent: no such folder; name a checkout with --root$"):
        servers.serve_ui(absent, 5000)
    for folder in (absent, tmp_path):
        with pytest.raises(InputError, match=r"mlruns/mlflow\.db: no such store; name with --root the checkout whose"):
            servers.serve_model(folder, MODEL, 5001)
    assert not list(tmp_path.iterdir())


def test_the_database_of_another_program_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE songs (name TEXT)").connection.commit()
    before = path.read_bytes()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    for model in (MODEL, "models:/digits@champion"):
        with pytest.raises(PipelineError, match=r"other\.db: is a database of another program"):
            servers.serve_model(tmp_path, model, 5001)
    assert path.read_bytes() == before
