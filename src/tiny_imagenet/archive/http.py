"""One try at a file over https: what is asked for, which answers are refused, and the bytes added to those here."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable
from pathlib import Path

import requests
import urllib3

from tiny_imagenet.core.disk import require_free_bytes
from tiny_imagenet.core.errors import InputError, PipelineError

CHUNK_BYTES = 2**16
WORTH_ANOTHER_TRY = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses
CORRECT = "correct the url, or get the file another way"


class Part:
    """The bytes so far, `<path>.part`, and beside them which version of which url they begin."""

    def __init__(self, path: Path, url: str) -> None:
        """Finds what an earlier run left, and removes it if it is of another url."""
        self.path = path.with_name(f"{path.name}.part")
        self.url = url
        self.validator: str | None = None
        self._note = path.with_name(f"{path.name}.part.json")
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            same, self.validator = note["url"] == url, note["validator"]
        except (OSError, ValueError, KeyError, TypeError):  # no note, or not one of ours: the part begins anew
            same = False
        if not same:
            self.remove()

    def num_bytes(self) -> int:
        """Returns how many bytes are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    def start(self, validator: str | None) -> None:
        """Empties the part, which will be of the version that the validator names."""
        self.path.write_bytes(b"")  # before the note: bytes never lie beside the note of another version
        self.validator = validator
        self._note.write_text(json.dumps({"url": self.url, "validator": validator}), encoding="utf-8")

    def remove(self) -> None:
        """Removes bytes and note."""
        self.validator = None
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


class InterruptedTry(Exception):
    """A try that failed in a way that another one may mend."""

    def __init__(self, what: str, retry_after_seconds: float = 0) -> None:
        """Says what happened, and how long the server wants to be left alone."""
        super().__init__(what)
        self.retry_after_seconds = retry_after_seconds


def transfer(
    session: requests.Session,
    part: Part,
    size_bytes: int | None,
    timeout: tuple[float, float],
    arrived: Callable[[int], object],
) -> None:
    """Completes a part, with one request.

    Args:
        session: Of requests.
        part: The bytes so far.
        size_bytes: The file's size, if it is known.
        timeout: Seconds to wait for the connection, and for the next bytes.
        arrived: Called after each few bytes with the number of all that are here; may raise.

    Raises:
        InterruptedTry: Another try may go further.
        InputError: The address, or what lies there, is wrong.
        PipelineError: The server is not trusted, or the disk is full.
    """
    url = part.url
    try:
        with _request(session, part, timeout) as response:
            _refuse(response, part)
            _receive(response, part, _begin(response, part, size_bytes), arrived)
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise InputError(url, f"leads to an address that is not https ({error})", CORRECT) from None
    except requests.TooManyRedirects:
        raise InputError(url, "redirects without end", CORRECT) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        cause = _root_cause(error)
        if "CERTIFICATE_VERIFY_FAILED" in cause:
            raise PipelineError(url, f"is not trusted ({cause})", "check the url, and the proxy if any") from None
        raise InterruptedTry(f"the connection failed ({cause})") from None


def _request(session: requests.Session, part: Part, timeout: tuple[float, float]) -> requests.Response:
    headers = {"Accept-Encoding": "identity"}
    if start := part.num_bytes():
        headers["Range"] = f"bytes={start}-"
        if part.validator is not None:
            headers["If-Range"] = part.validator  # another version comes whole, with status 200
    return session.get(part.url, headers=headers, stream=True, timeout=timeout)


def _refuse(response: requests.Response, part: Part) -> None:
    """Raises unless the response carries the file, or the rest of it."""
    phrase = http.client.responses.get(response.status_code, "")  # ours: the server's could hold anything
    status = f"the server answers {response.status_code} {phrase}"
    if response.status_code in WORTH_ANOTHER_TRY:
        wait = response.headers.get("Retry-After", "")
        raise InterruptedTry(status, float(wait) if wait.isdecimal() else 0)
    if response.status_code == 416:
        part.remove()
        raise InterruptedTry(status)
    if response.status_code not in (200, 206):
        raise InputError(part.url, status, CORRECT)
    if "html" in response.headers.get("Content-Type", ""):
        raise InputError(part.url, "the server sends a web page, not the file", CORRECT)


def _begin(response: requests.Response, part: Part, size_bytes: int | None) -> int | None:
    """Makes the part ready for the response's bytes; returns the size of the whole file, if the server says it."""
    whole = response.headers.get("Content-Length", "")
    if response.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != part.num_bytes():
            part.remove()
            raise InterruptedTry("the server sends another range than it was asked for")
        whole = found[2]
    whole_bytes = int(whole) if whole.isdecimal() else size_bytes
    if size_bytes not in (None, whole_bytes):
        raise InputError(part.url, f"the server's file has {whole_bytes:,} bytes, expected {size_bytes:,}", CORRECT)
    if response.status_code == 200:
        part.start(_validator(response))
    return whole_bytes


def _receive(
    response: requests.Response, part: Part, whole_bytes: int | None, arrived: Callable[[int], object]
) -> None:
    num_bytes = part.num_bytes()
    require_free_bytes(part.path, (whole_bytes or 0) - num_bytes)
    with part.path.open("ab") as file:
        # read1 returns what has come; read would wait for a full chunk, past any deadline on a trickle.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
            file.write(chunk)
            num_bytes += len(chunk)
            if whole_bytes is not None and num_bytes > whole_bytes:
                part.remove()
                raise InputError(part.url, f"the server sends more than {whole_bytes:,} bytes", CORRECT)
            arrived(num_bytes)
    if whole_bytes is not None and num_bytes < whole_bytes:
        raise InterruptedTry("the connection was cut")


def _validator(response: requests.Response) -> str | None:
    """Returns what names the file's version in If-Range: a strong ETag, or else its date."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _root_cause(error: BaseException) -> str:
    """Returns what happened underneath the layers of an exception of requests."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return str(error) or type(error).__name__
