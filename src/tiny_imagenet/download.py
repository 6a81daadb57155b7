"""The download of one large file: over https, whole or not at all, resuming what an earlier try left."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from tiny_imagenet.disk import disk_errors, require_free_bytes
from tiny_imagenet.errors import InputError, PipelineError
from tiny_imagenet.files import write_whole

CHUNK_BYTES = 2**16
LINE_SECONDS = 10  # between progress lines where there is no terminal
WORTH_ANOTHER_TRY = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses
_CORRECT = "correct the url, or get the file another way"


@dataclass(frozen=True)
class Patience:
    """How long a download waits, in seconds, before it gives up; what came so far is kept for the next run."""

    connect_seconds: float = 10
    read_seconds: float = 15  # for the next bytes
    idle_seconds: float = 40  # without getting further, all tries together
    total_seconds: float = 6 * 3600
    pause_seconds: float = 1  # before the second try; doubles with each one in vain
    tries: int = 100


def download(
    url: str,
    path: Path,
    check: Callable[[Path], None],
    size_bytes: int | None = None,
    patience: Patience = Patience(),
) -> None:
    """Downloads a file over https, also after a redirect; with a bar on a terminal, a line every ten seconds elsewhere.

    What has come so far lies in `<path>.part`, and a later call resumes there if the server still has the same file.

    Args:
        url: An https address.
        path: Where the file goes once it is whole and checked.
        check: Raises an error if the file of that path is not the right one; its bytes are then removed.
        size_bytes: The file's size, if it is known.
        patience: When to give up.

    Raises:
        InputError: The address, or what lies there, is wrong; trying again would not help.
        PipelineError: The network or the disk failed; running again resumes.
    """
    if not url.startswith("https://"):
        raise InputError(url, "is not an https address", _CORRECT)
    with disk_errors(path, size_bytes or 0):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = _Part(path, url)
        if part.num_bytes() != size_bytes:
            with requests.Session() as session:
                session.adapters.pop("http://")  # requests looks for the adapter of each address it is redirected to
                _Download(session, part, size_bytes, patience).run()
        try:
            check(part.path)
        except InputError:
            part.remove()
            raise
        with write_whole(path) as aside:
            part.path.replace(aside)
        part.remove()


class _Part:
    """The bytes so far, `<path>.part`, and beside them which version of which url they begin."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path.with_name(f"{path.name}.part")
        self.url = url
        self.validator: str | None = None
        self._note = path.with_name(f"{path.name}.part.json")
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            same, self.validator = note["url"] == url, note["validator"]
        except (OSError, ValueError, KeyError, TypeError):
            same = False
        if not same:
            self.remove()

    def num_bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def start(self, validator: str | None) -> None:
        """Empties the part, which will be of the version that the validator names."""
        self.path.write_bytes(b"")  # before the note: bytes never lie beside the note of another version
        self.validator = validator
        self._note.write_text(json.dumps({"url": self.url, "validator": validator}), encoding="utf-8")

    def remove(self) -> None:
        self.validator = None
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


class _InterruptedError(Exception):
    """A try that failed in a way that another one may mend."""

    def __init__(self, what: str, retry_after_seconds: float = 0) -> None:
        super().__init__(what)
        self.retry_after_seconds = retry_after_seconds


class _Download:
    """The tries that it takes to complete a part."""

    def __init__(self, session: requests.Session, part: _Part, size_bytes: int | None, patience: Patience) -> None:
        self.session, self.part, self.size_bytes, self.patience = session, part, size_bytes, patience
        self.deadline = time.monotonic() + patience.total_seconds
        self.furthest, self.furthest_time, self.tries_in_vain = part.num_bytes(), time.monotonic(), 0
        self.progress = _Progress(size_bytes)

    def run(self) -> None:
        require_free_bytes(self.part.path, (self.size_bytes or 0) - self.part.num_bytes())
        with self.progress:
            for number in range(1, self.patience.tries + 1):
                try:
                    self._try()
                    return
                except _InterruptedError as interrupted:
                    self._pause(interrupted, last=number == self.patience.tries)

    def _try(self) -> None:
        url = self.part.url
        try:
            with self._request() as response:
                self._refuse(response)
                self._receive(response, self._begin(response))
        except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
            raise InputError(url, f"leads to an address that is not https ({error})", _CORRECT) from None
        except requests.TooManyRedirects:
            raise InputError(url, "redirects without end", _CORRECT) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            cause = _root_cause(error)
            if "CERTIFICATE_VERIFY_FAILED" in cause:
                raise PipelineError(url, f"is not trusted ({cause})", "check the url, and the proxy if any") from None
            raise _InterruptedError(f"the connection failed ({cause})") from None

    def _request(self) -> requests.Response:
        headers = {"Accept-Encoding": "identity"}
        if start := self.part.num_bytes():
            headers["Range"] = f"bytes={start}-"
            if self.part.validator is not None:
                headers["If-Range"] = self.part.validator  # another version comes whole, with status 200
        timeout = (self.patience.connect_seconds, self.patience.read_seconds)
        return self.session.get(self.part.url, headers=headers, stream=True, timeout=timeout)

    def _refuse(self, response: requests.Response) -> None:
        """Raises unless the response carries the file, or the rest of it."""
        phrase = http.client.responses.get(response.status_code, "")  # ours: the server's could hold anything
        status = f"the server answers {response.status_code} {phrase}"
        if response.status_code in WORTH_ANOTHER_TRY:
            wait = response.headers.get("Retry-After", "")
            raise _InterruptedError(status, float(wait) if wait.isdecimal() else 0)
        if response.status_code == 416:
            self.part.remove()
            raise _InterruptedError(status)
        if response.status_code not in (200, 206):
            raise InputError(self.part.url, status, _CORRECT)
        if "html" in response.headers.get("Content-Type", ""):
            raise InputError(self.part.url, "the server sends a web page, not the file", _CORRECT)

    def _begin(self, response: requests.Response) -> int | None:
        """Makes the part ready for the response's bytes; returns the size of the whole file, if the server says it."""
        whole = response.headers.get("Content-Length", "")
        if response.status_code == 206:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != self.part.num_bytes():
                self.part.remove()
                raise _InterruptedError("the server sends another range than it was asked for")
            whole = found[2]
        whole_bytes = int(whole) if whole.isdecimal() else self.size_bytes
        if self.size_bytes not in (None, whole_bytes):
            what = f"the server's file has {whole_bytes:,} bytes, expected {self.size_bytes:,}"
            raise InputError(self.part.url, what, _CORRECT)
        if response.status_code == 200:
            self.part.start(_validator(response))
        return whole_bytes

    def _receive(self, response: requests.Response, whole_bytes: int | None) -> None:
        num_bytes = self.part.num_bytes()
        require_free_bytes(self.part.path, (whole_bytes or 0) - num_bytes)
        with self.part.path.open("ab") as file:
            # read1 returns what has come; read would wait for a full chunk, past any deadline on a trickle.
            while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
                file.write(chunk)
                num_bytes += len(chunk)
                self.progress.show(num_bytes)
                if num_bytes > self.furthest:
                    self.furthest, self.furthest_time, self.tries_in_vain = num_bytes, time.monotonic(), 0
                if whole_bytes is not None and num_bytes > whole_bytes:
                    self.part.remove()
                    raise InputError(self.part.url, f"the server sends more than {whole_bytes:,} bytes", _CORRECT)
                if time.monotonic() > self.deadline:
                    raise self._given_up(f"not done after {self.patience.total_seconds:.0f} s")
        if whole_bytes is not None and num_bytes < whole_bytes:
            raise _InterruptedError("the connection was cut")

    def _pause(self, interrupted: _InterruptedError, last: bool) -> None:
        """Waits before the next try; gives up if there is none, or if it would come too late."""
        seconds = max(interrupted.retry_after_seconds, self.patience.pause_seconds * 2**self.tries_in_vain)
        self.tries_in_vain += 1
        last_moment = min(self.furthest_time + self.patience.idle_seconds, self.deadline)
        if last or time.monotonic() + seconds > last_moment:
            raise self._given_up(str(interrupted)) from None
        self.progress.say(f"{interrupted} at {self.part.num_bytes():,} bytes; trying again in {seconds:.0f} s")
        time.sleep(seconds)

    def _given_up(self, what: str) -> PipelineError:
        kept = f"{what}, with {self.part.num_bytes():,} bytes here"
        return PipelineError(self.part.url, kept, "run again later: it goes on where it stopped")


class _Progress:
    """A bar on a terminal; elsewhere a line now and then."""

    def __init__(self, size_bytes: int | None) -> None:
        self._bar = tqdm(total=size_bytes, desc="downloading", unit="B", unit_scale=True, disable=None)
        self._last_line = time.monotonic()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, num_bytes: int) -> None:
        self._bar.update(num_bytes - self._bar.n)
        if self._bar.disable and time.monotonic() - self._last_line >= LINE_SECONDS:
            whole = f" of {self._bar.total / 1e6:.0f}" if self._bar.total else ""
            self.say(f"{num_bytes / 1e6:.0f}{whole} MB")

    def say(self, what: str) -> None:
        self._last_line = time.monotonic()
        tqdm.write(f"downloading: {what}")


def _validator(response: requests.Response) -> str | None:
    """Returns what names the file's version in If-Range: a strong ETag, or else its date."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _root_cause(error: BaseException) -> str:
    """Returns what happened underneath the layers of an exception of requests."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return str(error) or type(error).__name__
