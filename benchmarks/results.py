"""The results: one row per measured quantity, stored in results.json."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.rounds import paired_ratio

Values = Sequence[float]


@dataclass
class Row:
    """One measured quantity.

    `ours` and the peers' `value` are medians over the rounds, in `unit`. A peer's `ratio` is the median over the rounds
    of how many times better ours was in the same round; it may have a `goal` of its own, which the table shows as a
    row of its own. `met` is whether `ours` reaches `goal`; None without a goal.
    """

    row: str
    theme: str
    ours: float | None
    unit: str
    goal: float | None
    better: str
    met: bool | None
    peers: dict[str, dict[str, Any]]
    rounds: dict[str, list[float]]
    spread: dict[str, list[float]]
    details: dict[str, Any] = field(default_factory=dict)
    date: str = ""
    machine: dict[str, Any] = field(default_factory=dict)


def make_row(
    row: str,
    theme: str,
    ours: Values,
    *,
    unit: str,
    goal: float | None,
    better: str = "higher",
    peers: Mapping[str, Values | str] | None = None,
    peer_goals: Mapping[str, float] | None = None,
    details: Mapping[str, Any] | None = None,
) -> Row:
    """Returns a row for the values of each round.

    Args:
        row: The name of the quantity.
        theme: Its theme, an argument of `--rows`.
        ours: One value per round; empty if ours failed.
        unit: The unit of the values.
        goal: The goal for the median of ours.
        better: "higher" or "lower".
        peers: For each peer one value per round, or the reason why there is none.
        peer_goals: The goals for the ratios to peers.
        details: Further figures that explain the row.
    """
    goals = dict(peer_goals or {})
    compared = {name: _peer(ours, values, better, goals.get(name)) for name, values in (peers or {}).items()}
    median = statistics.median(ours) if ours else None
    series = {"ours": ours} | {name: values for name, values in (peers or {}).items() if not isinstance(values, str)}
    return Row(
        row=row,
        theme=theme,
        ours=median,
        unit=unit,
        goal=goal,
        better=better,
        met=None if goal is None else _reached(median, goal, better),
        peers=compared,
        rounds={name: [_short(value) for value in values] for name, values in series.items()},
        spread={name: [_short(min(values)), _short(max(values))] for name, values in series.items() if values},
        details=dict(details or {}),
    )


def _peer(ours: Values, values: Values | str, better: str, goal: float | None) -> dict[str, Any]:
    if isinstance(values, str) or not ours:
        return {"value": None, "ratio": None, "not measured": values if ours else "ours failed"}
    count = min(len(ours), len(values))
    ratio = paired_ratio(ours[:count], values[:count], better)
    compared = {"value": statistics.median(values), "ratio": ratio}
    return compared | ({"goal": goal, "met": ratio >= goal} if goal is not None else {})


def _reached(value: float | None, goal: float, better: str) -> bool:
    return value is not None and (value >= goal if better == "higher" else value <= goal)


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def load_rows(path: Path) -> list[Row]:
    """Reads results.json; returns no rows if there is no such file."""
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Writes results.json."""
    objects = [asdict(row) for row in rows]
    path.write_text(json.dumps(objects, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def merge(old: Sequence[Row], new: Sequence[Row], themes: Sequence[str]) -> list[Row]:
    """Returns the old rows, those of newly measured themes replaced, in the order of `themes`."""
    measured = {row.theme for row in new}
    kept = [row for row in old if row.theme not in measured and row.theme in themes]
    return sorted([*kept, *new], key=lambda row: themes.index(row.theme))
