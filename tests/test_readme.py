"""The results in the README are the committed ones, its tree has every folder, and its links exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COLUMNS = ("model", "top-1 %", "top-5 %", "training compute", "training time")
LEFT_OUT = ("minutes\\_2", "minutes\\_3")  # the same model with another seed


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_results_are_those_of_the_report():
    table = ROOT / "reports" / "table.md"
    first = table.read_text(encoding="utf-8").split("\n\n")[0]  # other tables may follow
    rows = [cells(line) for line in first.splitlines()]
    places = [rows[0].index(column) for column in COLUMNS]
    shown = [[row[place] for place in places] for row in rows if row[0] not in LEFT_OUT]
    expected = ["| " + " | ".join(row) + " |" for row in shown]
    block = README.split("<!-- results:")[1].split("-->", 1)[1].split("<!-- /results -->")[0]
    assert [line for line in block.splitlines() if line.startswith("|")] == expected, "\n" + "\n".join(expected)


def test_every_package_is_in_the_tree():
    tree = README.split("## The tree")[1]
    packages = [path.parent.name for path in (ROOT / "src" / "tiny_imagenet").glob("*/__init__.py")]
    assert len(packages) > 10
    assert not [name for name in [*packages, "stages", "demo", "tests", "benchmarks", "docs"] if f"{name}/" not in tree]


def test_every_module_in_the_tree_exists():
    for name in ("images/decoding.py", "training/optimizers.py", "training/train_step.py"):
        assert name.rpartition("/")[2] in README
        assert (ROOT / "src" / "tiny_imagenet" / name).is_file()


PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")))
PAGES += tuple(f"docs/decisions/{path.name}" for path in (ROOT / "docs" / "decisions").glob("*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_links_exist(page):
    path = ROOT / page
    for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / link).exists(), link


def test_readme_is_short():
    lines = README.splitlines()
    assert len(lines) <= 110
    assert max(map(len, lines)) <= 110


@pytest.mark.parametrize("page", PAGES)
def test_prose_lines_are_short(page):
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if len(line) > 160 and not line.startswith("|")]
