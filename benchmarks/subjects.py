"""Subjects: each is measured in its own process, on request."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from benchmarks.serving import MARK, Figures

ROOT = Path(__file__).parents[1]
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


class NotMeasured(Exception):
    """A subject cannot be measured; the message is one line."""


class Subject:
    """A process that measures on request.

    Args:
        name: Its name in the results.
        module: Run with `python -m`, in the root of the repository.
        arguments: Its command line.
        logs: The folder of its log, which holds stderr.
        python: The interpreter.
        cpus: The cores that it may use, set before the process starts; None: all.
        fresh: Whether each measurement starts a new process, for what happens once per process.
    """

    def __init__(
        self,
        name: str,
        module: str,
        *arguments: object,
        logs: Path,
        python: Path | str = sys.executable,
        cpus: Sequence[int] | None = None,
        fresh: bool = False,
    ) -> None:
        self.name, self.python, self.cpus, self.fresh = name, Path(python), cpus, fresh
        self.command = [str(python), "-m", module, *map(str, arguments)]
        self.log = logs / ("-".join([module, *map(str, arguments)]).replace("/", "_")[-120:] + ".log")
        self.about: Figures = {}
        self._process: subprocess.Popen[str] | None = None

    def measure(self) -> Figures:
        """Returns the figures of one measurement.

        Raises:
            NotMeasured: The process cannot be started, or ends without an answer.
        """
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            print("measure", file=self._process.stdin, flush=True)
        except OSError:
            raise self._lost() from None
        figures = self._answer()
        if self.fresh:
            self.close()
        return figures

    def _start(self) -> None:
        if not self.python.exists():
            raise NotMeasured(f"{self.python.parents[1].name} not found: run `make bench`")
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT,
                env={"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}, preexec_fn=self._pin if self.cpus else None,
            )  # fmt: skip
        self.about = self._answer()

    def _pin(self) -> None:
        os.sched_setaffinity(0, self.cpus or ())

    def _answer(self) -> Figures:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(MARK):
                answer: Figures = json.loads(line.removeprefix(MARK))
                return answer
        raise self._lost()

    def _lost(self) -> NotMeasured:
        self.close()
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return NotMeasured(lines[-1].strip() if lines else "ended without an answer")

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            with contextlib.suppress(OSError):  # the process has ended, and closed the pipe
                self._process.stdin.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
            self._process = None

    def __enter__(self) -> Subject:
        """Returns itself."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Ends the process."""
        self.close()
