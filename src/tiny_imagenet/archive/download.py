"""Download of one large file over https: atomic, resumable, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import requests
from tqdm import tqdm

from tiny_imagenet.archive.range_request import CORRECT_URL, PartialFile, RetryableError, request_rest
from tiny_imagenet.core.disk import disk_errors
from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.files import atomic_write

LINE_SECONDS = 10  # between progress lines where there is no terminal


@dataclass(frozen=True)
class RetryPolicy:
    """Time limits in seconds, and the number of requests, after which a download gives up."""

    connect_seconds: float = 10
    read_seconds: float = 15  # for the next bytes
    idle_seconds: float = 40  # without progress, over all requests
    total_seconds: float = 6 * 3600
    backoff_seconds: float = 1  # before the second request; doubles with each one that brings nothing new
    max_requests: int = 100


def download(
    url: str,
    path: Path,
    check: Callable[[Path], None],
    size_bytes: int | None = None,
    policy: RetryPolicy = RetryPolicy(),
) -> None:
    """Downloads a file over https, redirects included, and shows the progress.

    The bytes received so far are kept in `<path>.part`. A later call resumes there if the server still has the same
    version of the file.

    Args:
        url: An https address.
        path: Where the complete, checked file goes.
        check: Raises an InputError if the file at the path it is given is not the expected one; its bytes are deleted.
        size_bytes: The size of the file, if known.
        policy: When to retry and when to give up.

    Raises:
        InputError: The url or the file there is wrong; a retry would not help.
        PipelineError: The network or the disk failed; another call resumes.
    """
    if not url.startswith("https://"):
        raise InputError(url, "is not an https address", CORRECT_URL)
    with disk_errors(path, size_bytes or 0):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = PartialFile(path, url)
        if part.num_bytes() != size_bytes:
            with requests.Session() as session, closing(_Progress(size_bytes)) as progress:
                session.adapters.pop("http://")  # a redirect to http then finds no adapter
                _complete(session, part, size_bytes, policy, progress)
        try:
            check(part.path)
        except InputError:
            part.remove()
            raise
        with atomic_write(path) as temporary:
            part.path.replace(temporary)
        part.remove()


def _complete(
    session: requests.Session, part: PartialFile, size_bytes: int | None, policy: RetryPolicy, progress: _Progress
) -> None:
    """Repeats the request for the missing bytes until the file is complete or the policy's limits are reached."""
    # Not urllib3's own loop: its Retry sees no break in a streamed body, and sleeps without regard to a deadline.
    timeout = (policy.connect_seconds, policy.read_seconds)
    deadline = time.monotonic() + policy.total_seconds
    received, idle_deadline, backoff = part.num_bytes(), time.monotonic() + policy.idle_seconds, policy.backoff_seconds
    for requests_left in reversed(range(policy.max_requests)):
        try:
            for num_bytes in request_rest(session, part, size_bytes, timeout):
                progress.show(num_bytes)
                if num_bytes > received:
                    received, idle_deadline = num_bytes, time.monotonic() + policy.idle_seconds
                    backoff = policy.backoff_seconds
                if time.monotonic() > deadline:
                    raise RetryableError(f"not complete after {policy.total_seconds:.0f} s")
            return
        except RetryableError as error:
            wait = max(error.retry_after_seconds, backoff)
            kept = f"{error}, {part.num_bytes():,} bytes are kept"
            if not requests_left or time.monotonic() + wait > min(idle_deadline, deadline):
                raise PipelineError(part.url, f"download failed: {kept}", "run again to resume") from None
            progress.write(f"{kept}; next request in {wait:.0f} s")
            backoff *= 2
            time.sleep(wait)


class _Progress:
    """A bar on a terminal; elsewhere a line every `LINE_SECONDS`."""

    def __init__(self, size_bytes: int | None) -> None:
        self._bar = tqdm(total=size_bytes, desc="downloading", unit="B", unit_scale=True, disable=None)
        self._last_line = time.monotonic()
        self.close = self._bar.close

    def show(self, num_bytes: int) -> None:
        self._bar.update(num_bytes - self._bar.n)
        if self._bar.disable and time.monotonic() - self._last_line >= LINE_SECONDS:
            total = f" of {self._bar.total / 1e6:.0f}" if self._bar.total else ""
            self.write(f"{num_bytes / 1e6:.0f}{total} MB")

    def write(self, line: str) -> None:
        self._last_line = time.monotonic()
        tqdm.write(f"downloading: {line}")
