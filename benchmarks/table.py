"""The results as a table in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import Row

BEGIN, END = "<!-- table: made by `make bench` from results.json -->", "<!-- /table -->"


def make_table(rows: Sequence[Row]) -> str:
    """Returns the table in Markdown."""
    lines = [
        "| row | ours | goal | met | peers: value, and how many times better ours is |",
        "| :-- | --: | --: | :-: | :-- |",
    ]
    return "\n".join([*lines, *(line for row in rows for line in make_lines(row))])


def make_lines(row: Row) -> list[str]:
    """Returns the lines of a row: one for ours with its goal, and one for each peer with a goal."""
    goal = "" if row.goal is None else f"{'≥' if row.better == 'higher' else '≤'} {_number(row.goal)}"
    peers = "; ".join(_peer(name, peer) for name, peer in row.peers.items())
    ratios = [
        f"| {row.row}, compared with {name} | {peer['ratio']:.2f} × | ≥ {peer['goal']:g} | {_MET[peer['met']]} | |"
        for name, peer in row.peers.items()
        if "goal" in peer
    ]
    return [f"| {row.row} | {_ours(row)} | {goal} | {_MET[row.met]} | {peers} |", *ratios]


_MET = {True: "yes", False: "**no**", None: ""}


def _ours(row: Row) -> str:
    if row.ours is None:
        return f"not measured ({row.details.get('failed')})"
    return f"{_number(row.ours)} {row.unit} ({' to '.join(_number(value) for value in row.spread['ours'])})"


def _peer(name: str, peer: dict[str, object]) -> str:
    if peer["value"] is None:
        return f"{name}: not measured ({peer['not measured']})"
    return f"{name}: {_number(peer['value'])}, {peer['ratio']:.2f} ×"


def _number(value: object) -> str:
    assert isinstance(value, int | float)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def describe_conditions(rows: Sequence[Row]) -> str:
    """Returns the dates, machines and versions of the rows, one line for each set of equal ones."""
    conditions: dict[str, list[str]] = {}
    for row in rows:
        machine = row.machine
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        conditions.setdefault(
            f"{row.date[:10]}, {machine['cores']} cores of {machine['cpu']}, {machine['memory_gb']} GB, "
            f"{machine['system']}, Python {machine['python']}, {versions}",
            [],
        ).append(row.theme)
    return "\n".join(f"- {', '.join(dict.fromkeys(themes))}: {line}" for line, themes in conditions.items())


def update_page(page: Path, rows: Sequence[Row]) -> None:
    """Replaces the table between its marks in a page."""
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    made = f"{BEGIN}\n{make_table(rows)}\n\n{describe_conditions(rows)}\n{END}"
    page.write_text(head + made + tail, encoding="utf-8")
