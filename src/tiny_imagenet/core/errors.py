"""What goes wrong, as a user is told it."""

from __future__ import annotations


class PipelineError(Exception):
    """A failure at run time that one line explains.

    Args:
        where: The file or key at fault.
        what: What is wrong with it.
        todo: What to do about it.
    """

    exit_status = 1

    def __init__(self, where: object, what: str, todo: str) -> None:
        super().__init__(where, what, todo)

    def __str__(self) -> str:
        """Returns the line."""
        where, what, todo = self.args
        return f"{where}: {what}; {todo}".replace("\n", " ")


class InputError(PipelineError):
    """The user's input (a parameter, a file, the data) is at fault."""

    exit_status = 2
