"""Text tables of the archive: tab-separated rows with their line numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tiny_imagenet.archive.zip_archive import REPAIR, Archive
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.text import printable

LINE_END = re.compile(r"\r?\n")  # not str.splitlines(), which also divides a line at \x0b, \x85 or \u2028
BYTE_ORDER_MARK = "\ufeff"  # at the start of a file as some editors save it, or of a line where two were joined


class Row(NamedTuple):
    """A row of a table: its line in the file, from 1, and its first cells."""

    line: int
    cells: tuple[str, ...]


def read_table(archive: Archive, name: str, columns: int) -> list[Row]:
    r"""Reads the first columns of a tab-separated UTF-8 file, without its blank lines.

    Lines end with `\n` or `\r\n`. A byte order mark is skipped. Other control characters become escapes (`printable`).

    Raises:
        InputError: The file is missing or is not UTF-8, a row has fewer columns, or two rows begin with the same cell.
    """
    where = f"{archive.path}: {name}"
    try:
        text = archive.read(name).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(where, f"is not UTF-8 text: {error}", REPAIR) from None
    rows = []
    for number, line in enumerate(LINE_END.split(text), start=1):
        content = line.removeprefix(BYTE_ORDER_MARK)
        if not content.strip():
            continue
        cells = tuple(printable(cell.strip()) for cell in content.split("\t")[:columns])
        if len(cells) < columns or not cells[0]:
            raise InputError(where, f"line {number} has fewer than {columns} columns", REPAIR)
        rows.append(Row(number, cells))
    _refuse_duplicates(where, rows)
    return rows


def _refuse_duplicates(where: str, rows: Sequence[Row]) -> None:
    lines: dict[str, list[int]] = {}
    for row in rows:
        lines.setdefault(row.cells[0], []).append(row.line)
    for cell, numbers in lines.items():
        if len(numbers) > 1:
            listed = ", ".join(map(str, numbers[:5])) + (" ..." if len(numbers) > 5 else "")
            raise InputError(where, f"names {cell} {len(numbers)} times (lines {listed})", REPAIR)
