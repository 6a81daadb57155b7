"""The results as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import Row

BEGIN, END = "<!-- table: made by `make bench` from results.json -->", "<!-- /table -->"


def make_table(rows: Sequence[Row]) -> str:
    """Returns the table in Markdown."""
    lines = [
        "| row | ours | goal | met | beside it: value, and how many times better ours is |",
        "| :-- | --: | --: | :-: | :-- |",
    ]
    return "\n".join([*lines, *map(make_line, rows)])


def make_line(row: Row) -> str:
    """Returns a row's line of the table."""
    goal = "" if row.goal is None else f"{'≥' if row.better == 'higher' else '≤'} {_number(row.goal)}"
    peers = "; ".join(_peer(name, peer) for name, peer in row.peers.items())
    return f"| {row.row} | {_ours(row)} | {goal} | {_MET[row.met]} | {peers} |"


_MET = {True: "yes", False: "**no**", None: ""}


def _ours(row: Row) -> str:
    if row.ours is None:
        return f"not measured ({row.details.get('failed')})"
    return f"{_number(row.ours)} {row.unit} ({' to '.join(_number(value) for value in row.spread['ours'])})"


def _peer(name: str, peer: dict[str, object]) -> str:
    if peer["value"] is None:
        return f"{name}: not measured ({peer['not measured']})"
    goal = f" (goal {peer['goal']:g} ×: {'met' if peer['met'] else '**not met**'})" if "goal" in peer else ""
    return f"{name}: {_number(peer['value'])}, {peer['ratio']:.2f} ×{goal}"


def _number(value: object) -> str:
    assert isinstance(value, int | float)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def describe_conditions(rows: Sequence[Row]) -> str:
    """Returns lines on the machines, versions and dates of the rows."""
    told: dict[str, list[str]] = {}
    for row in rows:
        machine = row.machine
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        told.setdefault(
            f"{row.date[:10]}, {machine['cores']} cores of {machine['cpu']}, {machine['memory_gb']} GB, "
            f"{machine['system']}, Python {machine['python']}, {versions}",
            [],
        ).append(row.theme)
    return "\n".join(f"- {', '.join(dict.fromkeys(themes))}: {line}" for line, themes in told.items())


def update_page(page: Path, rows: Sequence[Row]) -> None:
    """Puts the table between its marks in a page; the prose around it stays."""
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    made = f"{BEGIN}\n{make_table(rows)}\n\n{describe_conditions(rows)}\n{END}"
    page.write_text(head + made + tail, encoding="utf-8")
