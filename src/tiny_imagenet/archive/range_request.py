"""One https request for the missing bytes of a partly downloaded file."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Generator
from pathlib import Path

import requests
import urllib3

from tiny_imagenet.core.disk import require_free_bytes
from tiny_imagenet.core.errors import InputError, PipelineError

CHUNK_BYTES = 2**16
RETRY = urllib3.Retry(status_forcelist=(408, 425, 429, 500, 502, 503, 504))
CORRECT_URL = "correct the url, or get the file another way"


class PartialFile:
    """The bytes downloaded so far, `<path>.part`, with their url and version in `<path>.part.json`.

    Attributes:
        path: The file of the bytes.
        url: The address of the complete file.
        validator: The version that the bytes belong to, for the header If-Range; None if the server gave none.
    """

    validator: str | None

    def __init__(self, path: Path, url: str) -> None:
        """Opens what an earlier run left; removes it if it belongs to another url or has no readable note."""
        self.path, self._note = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")
        self.url = url
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            same_url, self.validator = note["url"] == url, note["validator"]
        except (OSError, ValueError, KeyError, TypeError):
            same_url = False
        if not same_url:
            self.remove()

    def num_bytes(self) -> int:
        """Returns the number of bytes on disk."""
        return self.path.stat().st_size if self.path.exists() else 0

    def restart(self, validator: str | None) -> None:
        """Empties the file and records the version that its bytes will belong to."""
        self.path.write_bytes(b"")  # before the note: bytes must never lie beside the note of another version
        self.validator = validator
        self._note.write_text(json.dumps({"url": self.url, "validator": validator}), encoding="utf-8")

    def remove(self) -> None:
        """Deletes the bytes and the note."""
        self.validator = None
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


class RetryableError(Exception):
    """A failed request that may succeed when repeated, after `retry_after_seconds` if the server asked for that."""

    def __init__(self, what: str, retry_after_seconds: float = 0) -> None:
        super().__init__(what)
        self.retry_after_seconds = retry_after_seconds


def request_rest(
    session: requests.Session, part: PartialFile, size_bytes: int | None, timeout: tuple[float, float]
) -> Generator[int, None, None]:
    """Requests the missing bytes and appends them to the partial file.

    Args:
        session: An open session.
        part: The bytes so far; emptied first if the server sends the complete file.
        size_bytes: The size of the complete file, if known.
        timeout: Seconds to wait for the connection, and for each read.

    Yields:
        The number of bytes received so far, of all requests, after each chunk.

    Raises:
        RetryableError: Another request may succeed.
        InputError: The url or the file there is wrong.
        PipelineError: The server's certificate is not trusted, or the disk is full.
    """
    headers = {"Accept-Encoding": "identity"}
    if num_bytes := part.num_bytes():
        headers["Range"] = f"bytes={num_bytes}-"
        if part.validator is not None:
            headers["If-Range"] = part.validator  # another version then comes from byte 0, with status 200
    try:
        with session.get(part.url, headers=headers, stream=True, timeout=timeout) as response:
            _check_status(response, part)
            yield from _append(response, part, _check_size(response, part, size_bytes))
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise InputError(part.url, f"leads to an address that is not https ({error})", CORRECT_URL) from None
    except requests.TooManyRedirects:
        raise InputError(part.url, "too many redirects", CORRECT_URL) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        cause = _root_cause(error)
        if "CERTIFICATE_VERIFY_FAILED" in cause:
            what = f"the server's certificate is not trusted ({cause})"
            raise PipelineError(part.url, what, "check the url, and the proxy if any") from None
        raise RetryableError(f"the request failed ({cause})") from None


def _check_status(response: requests.Response, part: PartialFile) -> None:
    """Raises unless the body is the file or a range of it."""
    code = response.status_code
    status = f"the server answered {code} {http.client.responses.get(code, '')}"  # not the server's own text
    if RETRY.is_retry("GET", code):
        raise RetryableError(status, RETRY.get_retry_after(response.raw) or 0)
    if code == 416:
        part.remove()
        raise RetryableError(status)
    if code not in (200, 206):
        raise InputError(part.url, status, CORRECT_URL)
    if "html" in response.headers.get("Content-Type", ""):
        raise InputError(part.url, "the server sent a web page, not the file", CORRECT_URL)


def _check_size(response: requests.Response, part: PartialFile, size_bytes: int | None) -> int | None:
    """Returns the size of the complete file, or None; empties the partial file if the response starts at byte 0."""
    total = response.headers.get("Content-Length", "")
    if response.status_code == 206:
        content_range = response.headers.get("Content-Range", "")
        found = re.fullmatch(rf"bytes {part.num_bytes()}-\d+/(\d+|\*)", content_range)
        if found is None:
            part.remove()
            raise RetryableError("the server sent another range than requested")
        total = found[1]
    total_bytes = int(total) if total.isdecimal() else size_bytes
    if size_bytes not in (None, total_bytes):
        what = f"the server's file has {total_bytes:,} bytes, expected {size_bytes:,}"
        raise InputError(part.url, what, CORRECT_URL)
    if response.status_code == 200:
        etag = response.headers.get("ETag", "")
        part.restart(etag if etag.startswith('"') else response.headers.get("Last-Modified"))  # If-Range: no weak ETag
    return total_bytes


def _append(response: requests.Response, part: PartialFile, total_bytes: int | None) -> Generator[int, None, None]:
    num_bytes = part.num_bytes()
    require_free_bytes(part.path, (total_bytes or 0) - num_bytes)
    with part.path.open("ab") as file:
        # read1 returns what has arrived; read would wait for a full chunk, past any deadline if bytes only trickle.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
            file.write(chunk)
            num_bytes += len(chunk)
            if total_bytes is not None and num_bytes > total_bytes:
                part.remove()
                raise InputError(part.url, f"the server sent more than {total_bytes:,} bytes", CORRECT_URL)
            yield num_bytes
    if total_bytes is not None and num_bytes < total_bytes:
        raise RetryableError("the connection was cut")


def _root_cause(error: BaseException) -> str:
    """Returns the message of the innermost exception: those of requests and urllib3 wrap one another."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error) or type(error).__name__
