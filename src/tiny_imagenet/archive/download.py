"""The download of one large file: over https, whole or not at all, resuming what an earlier try left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests
from tqdm import tqdm

from tiny_imagenet.archive.http import CORRECT, InterruptedTry, Part, transfer
from tiny_imagenet.core.disk import disk_errors, require_free_bytes
from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.files import atomic_write

LINE_SECONDS = 10  # between progress lines where there is no terminal


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
        raise InputError(url, "is not an https address", CORRECT)
    with disk_errors(path, size_bytes or 0):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Part(path, url)
        if part.num_bytes() != size_bytes:
            with requests.Session() as session:
                session.adapters.pop("http://")  # requests looks for the adapter of each address it is redirected to
                _Download(session, part, size_bytes, patience).run()
        try:
            check(part.path)
        except InputError:
            part.remove()
            raise
        with atomic_write(path) as temporary:
            part.path.replace(temporary)
        part.remove()


class _Download:
    """The tries that it takes to complete a part."""

    def __init__(self, session: requests.Session, part: Part, size_bytes: int | None, patience: Patience) -> None:
        self.session, self.part, self.size_bytes, self.patience = session, part, size_bytes, patience
        self.deadline = time.monotonic() + patience.total_seconds
        self.furthest, self.furthest_time, self.tries_in_vain = part.num_bytes(), time.monotonic(), 0
        self.progress = _Progress(size_bytes)

    def run(self) -> None:
        require_free_bytes(self.part.path, (self.size_bytes or 0) - self.part.num_bytes())
        timeout = (self.patience.connect_seconds, self.patience.read_seconds)
        with self.progress:
            for number in range(1, self.patience.tries + 1):
                try:
                    transfer(self.session, self.part, self.size_bytes, timeout, self._arrived)
                    return
                except InterruptedTry as interrupted:
                    self._pause(interrupted, last=number == self.patience.tries)

    def _arrived(self, num_bytes: int) -> None:
        self.progress.show(num_bytes)
        if num_bytes > self.furthest:
            self.furthest, self.furthest_time, self.tries_in_vain = num_bytes, time.monotonic(), 0
        if time.monotonic() > self.deadline:
            raise self._given_up(f"not done after {self.patience.total_seconds:.0f} s")

    def _pause(self, interrupted: InterruptedTry, last: bool) -> None:
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
