"""Standard output and error: any text can be printed, no secret is, and a reader that is gone ends no work."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO, cast
from urllib.parse import unquote

HIDDEN = "***"
# Each pattern takes linear time on any text: it starts at a fixed text, or ends before the next start.
WORD = re.compile(r"\S+")
UNQUOTED = re.compile(r"[^\s'\"<>]+")
USER = re.compile(r"(?<=://)[^/?#]*@")  # of an address: user:password@
WITH_PASSWORD = re.compile(r"://[^/?#:@]*:")  # the begin of an address that has one, if an @ follows
# After ://, one as it should be, then one with characters that should have been encoded; `host:port/` begins none.
PASSWORDS = (re.compile(r"[^\s/?#:@]*:([^/?#]*)@"), re.compile(r"[^\s/?#:@]*:(?!\d+[/?#])(\S*)@"))
PATH = re.compile(r"(?:^|[(\[{=:,])/")  # an absolute one
HEADER = re.compile(r"(Authorization\W{1,5}(?:b')?(?:Basic|Bearer) )[\w.~+/=-]+", re.IGNORECASE)
SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|TOKEN|SECRET|SECRET_KEY|ACCESS_KEY|API_KEY)$")  # of a variable
MIN_LENGTH = 8  # of a secret that is hidden wherever it stands: a shorter one may be an ordinary word
GONE = (errno.EPIPE, errno.EIO)  # the reader of a pipe has ended, the terminal was closed


def redact(text: str, secrets: frozenset[str] = frozenset(), *, paths: bool = True) -> str:
    """Returns a text without the user, password and query of the addresses in it, and without these secrets.

    Args:
        text: Of any length.
        secrets: To hide wherever they stand.
        paths: Whether to hide `?KEY=VALUE` after an absolute path, too: libraries name an address so in their errors.
    """
    for secret in sorted(secrets, key=len, reverse=True):  # one may begin another
        text = text.replace(secret, HIDDEN)
    if "://" in text and "@" in text:
        text = WORD.sub(lambda found: _without_user(found[0]), text)
    if "?" in text:
        text = UNQUOTED.sub(lambda found: _without_query(found[0], paths), text)
    return HEADER.sub(rf"\1{HIDDEN}", text)


def _without_user(word: str) -> str:
    """Returns a word without user and password. These end at its last @: they may hold / and @ that are not encoded."""
    begin, at, end = word.rpartition("@")
    found = WITH_PASSWORD.search(begin + at)
    if found:
        word = f"{begin[: found.start()]}://{HIDDEN}@{end}"
    return USER.sub(f"{HIDDEN}@", word)


def _without_query(word: str, paths: bool) -> str:
    """Returns a word without its query: with its keys, since a token may have any name.

    What follows a `#` is kept, as in links of MLflow's UI, and so is punctuation at the end.
    """
    begin, _, query = word.partition("?")
    secret = query.rstrip(".,;:)]}")
    is_address = "://" in word or (paths and "=" in query and PATH.search(begin))
    return f"{begin}?{HIDDEN}{query[len(secret) :]}" if secret and is_address and "#" not in begin else word


def secrets_of(environment: Mapping[str, str]) -> frozenset[str]:
    """Returns the passwords and tokens in environment variables, and in addresses in them, encoded and decoded."""
    found = [value for name, value in environment.items() if SECRET_NAME.search(name.upper())]
    for value in environment.values():
        for address in value.split("://")[1:]:
            found += [match[1] for pattern in PASSWORDS if (match := pattern.match(address))]
    found += [unquote(secret) for secret in found]
    return frozenset(secret for secret in found if len(secret) >= MIN_LENGTH)


class SafeStream:
    """A text stream as `protect_streams` makes it; all but `write` and `flush` is the stream's own.

    Args:
        stream: The stream.
        secrets: To hide.
        paths: As for `redact`.
        quits: Whether a closed pipe ends the process.
    """

    def __init__(self, stream: TextIO, secrets: frozenset[str], *, paths: bool = True, quits: bool = False) -> None:
        self._stream, self._secrets, self._paths, self._quits = stream, secrets, paths, quits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes a text without its secrets."""
        self._unless_gone(lambda: self._stream.write(redact(text, self._secrets, paths=self._paths)))
        return len(text)

    def flush(self) -> None:
        """Writes what is buffered."""
        self._unless_gone(self._stream.flush)

    def _unless_gone(self, call: Any) -> None:
        try:
            call()
        except OSError as error:
            if error.errno not in GONE:
                raise
            if error.errno == errno.EPIPE:
                self._discard()
                if self._quits:
                    sys.exit(128 + signal.SIGPIPE)  # the status that a shell gives a process that SIGPIPE ended

    def _discard(self) -> None:
        """Discards what is buffered and all that follows: else the interpreter reports it as an error at its end."""
        with suppress(io.UnsupportedOperation):  # a stream without a file
            number, nowhere = self._stream.fileno(), os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)


def protect_streams(*, quits: bool = False) -> None:
    """Replaces stdout and stderr, also for the libraries that print to them.

    Characters that the terminal's encoding lacks are printed as escapes. Secrets are hidden (`redact`). A closed pipe
    or terminal is no error: the results of a stage are files.

    Args:
        quits: Whether a closed pipe of stdout ends the process, as for a command whose results are printed.
    """
    secrets = secrets_of(os.environ)
    for name, is_stdout in (("stdout", True), ("stderr", False)):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, SafeStream):
            continue
        stream.reconfigure(errors="backslashreplace")
        # Answers name pictures and classes, which may look like a path with a query; errors are printed on stderr.
        safe = SafeStream(stream, secrets, paths=not is_stdout, quits=quits and is_stdout)
        setattr(sys, name, cast(TextIO, safe))
