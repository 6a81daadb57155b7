"""`python -m benchmarks [--rows THEME ...] [--rounds N]`: measures, prints the table, writes results and page."""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.machine import describe_machine
from benchmarks.plot import draw
from benchmarks.results import Row, load_rows, merge, write_rows
from benchmarks.rows import THEMES
from benchmarks.scratch import Scratch
from benchmarks.subjects import ROOT
from benchmarks.table import make_line, make_table, update_page
from tiny_imagenet.core.errors import PipelineError

HERE = Path(__file__).parent
RESULTS, PAGE, PLOT = HERE / "results.json", HERE / "README.md", HERE / "ratios.svg"


def main() -> None:
    """Measures the themes asked for; rows of the others stay as an earlier run left them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ours beside its peers, in one run.")
    parser.add_argument(
        "--rows", nargs="+", choices=THEMES, default=list(THEMES), metavar="THEME", help=", ".join(THEMES)
    )
    parser.add_argument("--rounds", type=int, help="of each row, instead of its own number")
    parser.add_argument("--try", action="store_true", dest="trying", help="print the table, write nothing")
    arguments = parser.parse_args()
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", file=sys.stderr, flush=True)

    bench = Bench(Scratch(ROOT / ".cache" / "benchmarks", tell), arguments.rounds, tell)
    rows: list[Row] = []
    try:
        for theme in arguments.rows:
            rows += measure(theme, bench)
            if not arguments.trying:
                write(merge(load_rows(RESULTS), rows, list(THEMES)))
    except PipelineError as error:
        sys.exit(f"error: benchmarks: {error}")
    print(make_table(rows))


def measure(theme: str, bench: Bench) -> list[Row]:
    """Returns a theme's rows, with where and when they were measured."""
    machine, date = describe_machine(), datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    rows: list[Row] = []
    for row in THEMES[theme].measure(bench):
        row.machine, row.date = machine, date
        rows.append(row)
        bench.tell(make_line(row))
    return rows


def write(rows: list[Row]) -> None:
    """Writes the results, their table on the page, and their picture."""
    write_rows(RESULTS, rows)
    update_page(PAGE, rows)
    draw(PLOT, rows)


if __name__ == "__main__":
    main()
