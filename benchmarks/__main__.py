"""`python -m benchmarks [--rows THEME ...] [--rounds N]`: measures, prints the table, writes the results."""

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
from benchmarks.table import make_lines, make_table, update_page
from tiny_imagenet.core.errors import PipelineError

HERE = Path(__file__).parent
RESULTS, PAGE, PLOT = HERE / "results.json", HERE / "README.md", HERE / "ratios.svg"


def main() -> None:
    """Measures the requested themes; rows of other themes keep their earlier results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measures the pipeline and its peers in one run."
    )
    parser.add_argument(
        "--rows", nargs="+", choices=THEMES, default=list(THEMES), metavar="THEME", help=", ".join(THEMES)
    )
    parser.add_argument("--rounds", type=int, help="rounds of each row, in place of its default")
    parser.add_argument("--try", action="store_true", dest="trying", help="print the table, write nothing")
    arguments = parser.parse_args()
    began = time.monotonic()

    def log(message: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {message}", file=sys.stderr, flush=True)

    bench = Bench(Scratch(ROOT / ".cache" / "benchmarks", log), arguments.rounds, log)
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
    """Returns the rows of a theme, with the machine and the date of their measurement."""
    machine, date = describe_machine(), datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    rows: list[Row] = []
    for row in THEMES[theme].measure(bench):
        row.machine, row.date = machine, date
        rows.append(row)
        bench.log("\n".join(make_lines(row)))
    return rows


def write(rows: list[Row]) -> None:
    """Writes results.json, the table in README.md and the plot."""
    write_rows(RESULTS, rows)
    update_page(PAGE, rows)
    draw(PLOT, rows)


if __name__ == "__main__":
    main()
