"""Servers of MLflow on this machine: its UI, and a registered model over HTTP."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from tiny_imagenet.core.errors import InputError, first_line
from tiny_imagenet.tracking.store import check_database, reported_errors, store_path, store_uri
from tiny_imagenet.tracking.views import GROUPED, TRAINING, view_link, write_views

HOST = "127.0.0.1"
POLL_SECONDS = 0.3
# For this machine alone, to which a proxy of the environment has no way.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def serve_ui(root: Path, port: int) -> int:
    """Starts the UI on a main checkout's store, and prints the link of its newest experiment; returns its exit status.

    A store that is a server has a UI already: prints the link only.

    Raises:
        InputError: There is no such checkout, or the port cannot be used.
    """
    if not root.is_dir():
        raise InputError(root, "no such folder", "name a checkout with --root")
    uri = store_uri(root.resolve())
    if uri.startswith(("http://", "https://")):
        with reported_errors(root):
            print(ui_links(uri, uri))
        return 0
    (root / "mlruns").mkdir(exist_ok=True)
    address = f"http://{HOST}:{port}"
    with reported_errors(root):
        if path := store_path(uri):
            check_database(path)
        links = ui_links(uri, address)
    command = ["server", "--default-artifact-root", str(root.resolve() / "mlruns/artifacts")]
    command += ["--uvicorn-opts", "--log-level warning"]
    # MLflow's default of allowed hosts also takes names that begin like a private address.
    command += ["--allowed-hosts", f"{HOST}:{port},localhost:{port}"]
    # Not an argument: any user of the machine can list those, and an address may have a password.
    environment = {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return _serve(command, environment, port, "health", links)


def serve_model(root: Path, model: str, port: int) -> int:
    """Starts a server of a registered model; returns its exit status.

    Args:
        root: The main checkout, whose store has the model.
        model: Such as "models:/NAME@champion".
        port: On 127.0.0.1.

    Raises:
        InputError: There is no such store, it has no such model, or the port cannot be used.
    """
    uri = store_uri(root.resolve())
    with reported_errors(root):
        if path := store_path(uri):
            check_database(path)
            if not path.exists():  # the client would create it
                raise InputError(path, "no such store", "name with --root the checkout whose store has the model")
        _require_model(uri, model)
    command = ["models", "serve", "--model-uri", model, "--env-manager", "local"]
    text = f"\n{model} answers pictures that are posted to http://{HOST}:{port}/invocations\n"
    return _serve(command, {"MLFLOW_TRACKING_URI": uri}, port, "ping", text)


def ui_links(uri: str, address: str) -> str:
    """Sets the views of a store's experiments; returns the links of the one with the newest run.

    Args:
        uri: The store.
        address: Of the UI.
    """
    client = MlflowClient(uri)
    ids = [each.experiment_id for each in client.search_experiments()]
    newest = client.search_runs(ids, order_by=["attributes.start_time DESC"], max_results=1)
    for run in newest:
        for experiment_id in ids:
            write_views(client, experiment_id)
        links = {key: view_link(address, run.info.experiment_id, key) for key in (TRAINING, GROUPED)}
        return f"\nTraining runs, best first: {links[TRAINING]}\nGrouped by DVC experiment: {links[GROUPED]}\n"
    return f"\nNo runs yet: `make demo` or `dvc repro` logs some. The UI: {address}\n"


def _require_model(uri: str, model: str) -> None:
    name, _, alias = model.removeprefix("models:/").partition("@")
    if not alias:
        return  # a version or a logged model: MLflow's own message names it
    try:
        MlflowClient(uri).get_model_version_by_alias(name, alias)
    except MlflowException as error:
        todo = "register one with `report.champion: true` in params.yaml and `dvc repro`, or name another with --model"
        raise InputError(model, f"no such model in the store ({first_line(error)})", todo) from None


def _serve(command: Sequence[str], environment: Mapping[str, str], port: int, health: str, text: str) -> int:
    """Runs a server of MLflow until it ends; prints a text once it answers.

    Args:
        command: The arguments of `mlflow`, but for host, port and workers.
        environment: Variables to set.
        port: On 127.0.0.1.
        health: The path that answers once the server is ready.
        text: What to print then.

    Raises:
        InputError: The port cannot be used.
    """
    _require_free(port)
    words = [sys.executable, "-m", "mlflow", *command, "--host", HOST, "--port", str(port), "--workers", "1"]
    # The server has a session of its own, which the closing of the terminal does not end.
    hangup = [] if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else [signal.SIGHUP]
    for number in (signal.SIGTERM, *hangup):
        signal.signal(number, _interrupt)
    with subprocess.Popen(words, env=os.environ | environment, start_new_session=True) as process:
        try:
            while process.poll() is None and not _answers(f"http://{HOST}:{port}/{health}"):
                time.sleep(POLL_SECONDS)
            if process.poll() is None:
                print(text, flush=True)
            return process.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # MLflow starts workers of its own


def _require_free(port: int) -> None:
    """Checks that a server can listen on a port: the answers of another one would be taken for its own."""
    todo = "name another from 1 to 65535 with --port"
    if not 0 < port < 2**16:
        raise InputError("--port", f"{port} is no port", todo)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server: connections may be closing
        try:
            probe.bind((HOST, port))
        except OSError as error:
            what = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise InputError("--port", f"{port} {what}", todo) from None


def _interrupt(number: int, _frame: object) -> NoReturn:
    """Ends the server as Ctrl-C does; a terminal that is closed may send the signal twice."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _answers(address: str) -> bool:
    try:
        with DIRECT.open(address, timeout=2):
            return True
    except OSError:
        return False
