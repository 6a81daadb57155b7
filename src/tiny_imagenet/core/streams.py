"""Standard output and error: any text can be printed, no secret is, and a reader that is gone ends no work."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO, cast
from urllib.parse import unquote

HIDDEN = "***"
WORD, REST, END = r"[^\s'\"<>?]", r"[^\s'\"<>]", r"[^\s'\"<>.,;:)\]}]"
USER = re.compile(r"(?<=://)[^\s/?#]*@")  # of an address: user:password@
# A password with a slash in it, which should have been encoded: all up to the last @ of the word.
PASSWORD = re.compile(r"(?<=://)[^\s/?#@:]*:[^\s@]*[/?#][^\s]*@")
# A word up to the end of its query: any query of an address; `?KEY=VALUE` also of a bare path, as errors show it.
QUERY = re.compile(rf"({WORD}*://{WORD}*|{WORD}*(?=\?{WORD}+=))\?{REST}*{END}")
HEADER = re.compile(r"\b(Basic|Bearer) [\w.~+/=-]{8,}")
SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|TOKEN|SECRET|SECRET_KEY|ACCESS_KEY|API_KEY)$")  # of a variable
MIN_LENGTH = 8  # of a secret that is hidden wherever it stands: a shorter one may be an ordinary word
GONE = (errno.EPIPE, errno.EIO)  # the reader of a pipe has ended, the terminal was closed


def redact(text: str, secrets: frozenset[str] = frozenset()) -> str:
    """Returns a text without the user, password and query of the addresses in it, and without these secrets.

    The query counts with its keys: a token may have any name. What follows a `#` is kept, as in links of MLflow's UI.
    """
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    if "://" in text:
        text = PASSWORD.sub(f"{HIDDEN}@", USER.sub(f"{HIDDEN}@", text))
    if "?" in text:
        text = QUERY.sub(lambda found: found[0] if "#" in found[1] else f"{found[1]}?{HIDDEN}", text)
    return HEADER.sub(rf"\1 {HIDDEN}", text)


def secrets_of(environment: Mapping[str, str]) -> frozenset[str]:
    """Returns the passwords and tokens in environment variables, and in addresses in them, encoded and decoded."""
    found = [value for name, value in environment.items() if SECRET_NAME.search(name.upper())]
    for value in environment.values():
        user, at, _ = value.rpartition("://")[2].rpartition("@")
        found += [user.partition(":")[2]] if at else []
    found += [unquote(secret) for secret in found]
    return frozenset(secret for secret in found if len(secret) >= MIN_LENGTH)


class SafeStream:
    """A text stream as `protect_streams` makes it; all but `write` and `flush` is the stream's own."""

    def __init__(self, stream: TextIO, secrets: frozenset[str]) -> None:
        self._stream, self._secrets = stream, secrets

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes a text without its secrets."""
        self._ignore_if_gone(lambda: self._stream.write(redact(text, self._secrets)))
        return len(text)

    def flush(self) -> None:
        """Writes what is buffered."""
        self._ignore_if_gone(self._stream.flush)

    @staticmethod
    def _ignore_if_gone(call: Any) -> None:
        try:
            call()
        except OSError as error:
            if error.errno not in GONE:
                raise


def protect_streams() -> None:
    """Replaces stdout and stderr, also for the libraries that print to them.

    Characters that the terminal's encoding lacks are printed as escapes. Secrets are hidden (`redact`). A closed pipe
    or terminal is no error: the results of a stage are files.
    """
    secrets = secrets_of(os.environ)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, SafeStream):
            continue
        stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, cast(TextIO, SafeStream(stream, secrets)))
