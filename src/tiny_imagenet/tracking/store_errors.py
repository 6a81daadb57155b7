"""Errors of the MLflow store, whichever library raises them, as one line with the advice that fits the cause."""

from __future__ import annotations

import re

from tiny_imagenet.core.errors import PipelineError, first_line
from tiny_imagenet.core.streams import redact

VARIABLE = "MLFLOW_TRACKING_URI"
LOGIN = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
ADDRESS = f"set {VARIABLE} to http://HOST:PORT, https://HOST or sqlite:///FILE"
START, INSTALL = "start it", "install it with pip"  # or use the project's own store
MAX_LENGTH = 200  # of a library's message

# A pattern of the messages, the problem and the remedy. The first that matches counts.
OF_A_SERVER = (
    (r"\b401\b|Unauthorized|UNAUTHENTICATED", "asks for credentials, or refuses them", f"set {LOGIN}"),
    (r"\b403\b|Forbidden|PERMISSION_DENIED|Permission denied", "denies access", f"check the credentials in {LOGIN}"),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|certificate",
        "has a certificate that is not trusted",
        "set MLFLOW_TRACKING_SERVER_CERT_PATH to the certificate of its authority",
    ),
    (r"resolve", "names an unknown host", f"correct {VARIABLE}"),
    (r"\b404\b|Not Found|Invalid (IPv6 )?URL|No host|valid JSON", "is not the address of an MLflow server", ADDRESS),
    (r"error code 5\d\d|\b5\d\d error", "reports an error of its own", "see its log"),
    (r"", "does not answer", START),
)
OF_A_DATABASE = (
    (r"No module named|ModuleNotFoundError", "needs a database driver that is not installed", INSTALL),
    (
        r"Can't load plugin|Could not parse|nsupported URI|URI scheme|maintenance mode",
        "is not the address of a store",
        ADDRESS,
    ),
    (r"is locked", "is locked by another process", "end that process, or run again later"),
    (r"malformed|not a database", "is damaged, or not a database", "restore a copy of it, or move it away"),
    (r"readonly|[Rr]ead-only", "is read-only", "make the file and its folder writable"),
    (r"Permission denied|PermissionError", "cannot be accessed", "check the owner and permissions of file and folder"),
    (r"unable to open|director|FileExists", "cannot be opened", "name a file in a folder that can be written"),
    (
        r"database schema|locate revision",
        "is of another MLflow version",
        "back it up, then run `mlflow db upgrade` on it",
    ),
    (r"disk is full|No space left", "needs more disk space", "free some space (docs/operations.md)"),
    (r"authentication failed|Access denied", "refuses the user or password", f"correct them in {VARIABLE}"),
    (r"", "does not answer", START),
)


def store_error(uri: str, error: BaseException, *, is_default: bool) -> PipelineError:
    """Returns the error to report.

    Args:
        uri: The address of the store.
        error: What a library raised.
        is_default: Whether the address is the project's own, rather than that of MLFLOW_TRACKING_URI.
    """
    causes = OF_A_SERVER if uri.startswith(("http://", "https://")) else OF_A_DATABASE
    text = _messages(error)
    what, todo = next((what, todo) for pattern, what, todo in causes if re.search(pattern, text))
    if not is_default and todo in (START, INSTALL):
        todo = f"{todo}, or unset {VARIABLE}"
    return PipelineError(redact(uri), f"{what} ({redact(_shortened(first_line(error)))})", todo)


def _messages(error: BaseException) -> str:
    """Returns the types and messages of an error and of those that led to it."""
    found: list[str] = []
    current: BaseException | None = error
    while current is not None and len(found) < 10:
        found.append(f"{type(current).__name__}: {current}")
        current = current.__cause__ or current.__context__
    return "\n".join(found)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}..."
