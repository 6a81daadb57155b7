"""What a user sees when something goes wrong: one line, and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class PipelineError(Exception):
    """A failure that one line explains.

    Args:
        where: The file or key at fault.
        what: What is wrong with it.
        todo: What to do about it.
    """

    exit_status = 1

    def __init__(self, where: object, what: str, todo: str) -> None:
        super().__init__(f"{where}: {what}; {todo}".replace("\n", " "))


class InputError(PipelineError):
    """The user's input (a parameter, a file, the data) is at fault."""

    exit_status = 2


@contextmanager
def one_line_errors(stage: str) -> Iterator[None]:
    """Ends the process with `error: <stage>: ...` and no traceback on a PipelineError: 2 for input, 1 for run time."""
    try:
        yield
    except PipelineError as error:
        print(f"error: {stage}: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_status)
