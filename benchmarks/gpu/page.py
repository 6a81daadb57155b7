"""The results of a GPU as tables in Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BEGIN, END = "<!-- table: made by `make gpu` from gpu.json -->", "<!-- /table -->"


def update_page(page: Path, results: dict[str, Any]) -> None:
    """Replaces the tables between their marks in a page."""
    head, rest = page.read_text(encoding="utf-8").split(BEGIN)
    tail = rest.split(END)[1]
    page.write_text(f"{head}{BEGIN}\n{make_tables(results)}\n{END}{tail}", encoding="utf-8")


def make_tables(results: dict[str, Any]) -> str:
    """Returns a line on the device and the software, then one table for each part that was run."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [f"{results['device']}; {machine['cpu']}, {machine['cores']} cores; {versions}."]
    for part in (part for part in results if isinstance(results[part], dict) and part != "machine"):
        rows = {name: _flat(row) for name, row in results[part].items()}
        if part == "steps":
            rows = {name: _with_share(row, results) for name, row in rows.items()}
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        lines += ["", f"### {part.replace('_', ' ')}", "", "| | " + " | ".join(columns).replace("_", " ") + " |"]
        lines.append("| :-- |" + " --: |" * len(columns))
        for name, row in rows.items():
            lines.append(f"| {name} | " + " | ".join(_cell(row.get(column)) for column in columns) + " |")
    return "\n".join(lines)


def _with_share(row: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    product = results.get("matrix_product", {}).get("bfloat16", {}).get("flops")
    if not (product and "flops" in row):
        return row
    return row | {"share of the bfloat16 product": f"{row['flops'] / product:.1%}"}


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        flat |= {f"{key}: {name}": item for name, item in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, list):
        return "; ".join(_cell(item) for item in value) or "none"
    if isinstance(value, int | float):
        return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"
    return str(value).replace("|", "\\|")
