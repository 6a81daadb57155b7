"""A table of texts, as Markdown and as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate  # type: ignore[import-untyped]

TEXT_WIDTH = 110  # characters


class Number(str):
    """A text, and the number that it shows, for sorting."""

    value: float

    def __new__(cls, text: str, value: float) -> Number:
        """Returns the text with its number."""
        new = super().__new__(cls, text)
        new.value = value
        return new


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        headers: One per column.
        rows: Texts, some of them a `Number`; the first column names the rows.
        notes: Sentences below the table.
    """

    headers: list[str]
    rows: list[list[str]]
    notes: list[str]


def as_markdown(table: Table) -> str:
    """Returns the table in GitHub's Markdown, without padding, cells escaped, the notes below."""
    right = [":--", *["--:"] * (len(table.headers) - 1)]
    rows = [table.headers, right, *[[_escape(cell) for cell in row] for row in table.rows]]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n\n" + "\n".join(f"{_escape(note)}  " for note in table.notes) + "\n"


def as_text(table: Table) -> str:
    """Returns the table for a terminal, transposed: a line a header, a column a row of the table, the notes below.

    Columns that exceed TEXT_WIDTH follow in a block of their own.
    """
    first = max(map(len, table.headers))
    blocks: list[list[list[str]]] = []
    left = 0
    for row in table.rows:
        width = 2 + max(map(len, row))
        if width > left:
            blocks.append([])
            left = TEXT_WIDTH - first
        blocks[-1].append(row)
        left -= width
    texts = [align(list(zip(table.headers, *rows, strict=True))) for rows in blocks]
    return "\n\n".join([*texts, "\n".join(table.notes)])


def align(rows: Sequence[Sequence[str]], sides: str = "") -> str:
    """Returns rows of cells as text in columns.

    Args:
        rows: Of equal length.
        sides: "l" (left) or "r" (right) for each column; by default the first to the left, the others to the right.
    """
    names = {"l": "left", "r": "right"}
    alignment = [names[side] for side in sides or "l" + "r" * (len(rows[0]) - 1)]
    return str(tabulate(rows, tablefmt="plain", colalign=alignment, disable_numparse=True))


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
