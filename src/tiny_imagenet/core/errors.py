"""Errors that a stage or a command reports in one line."""

from __future__ import annotations


class PipelineError(Exception):
    """An expected failure at run time, reported as `WHERE: WHAT; TODO`.

    Args:
        where: The file or key at fault.
        what: The problem.
        todo: The remedy.
    """

    exit_status = 1

    def __init__(self, where: object, what: str, todo: str) -> None:
        super().__init__(where, what, todo)

    def __str__(self) -> str:
        """Returns the message in one line, with escapes for characters that a terminal would obey or hide."""
        where, what, todo = self.args
        text = f"{where}: {what}; {todo}".replace("\n", " ")
        return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


class InputError(PipelineError):
    """An invalid input: a parameter, a file or the data."""

    exit_status = 2


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, or its type's name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
