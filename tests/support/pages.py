"""The commands of the pages: the lines of their blocks marked `sh`, and those between their sentences."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# With its here-document, or with the lines that continue it.
LINE = re.compile(r".*<<(\w+)\n(?:.*\n)*?\1\n|(?:.*\\\n)*.*\n")
INLINE = re.compile(r"`((?:dvc|make|mlflow|tiny-imagenet) [^`\n]+)`")


def typed_lines(page: Path) -> list[str]:
    """Returns the command lines of a page as they are typed, comments and here-documents included."""
    blocks = [block for language, block in FENCE.findall(page.read_text(encoding="utf-8")) if language == "sh"]
    return [match.group() for block in blocks for match in LINE.finditer(block) if match.group().strip()]


def inline_commands(page: Path) -> list[str]:
    """Returns the commands between a page's sentences, but for those with an ellipsis."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return sorted({command for command in INLINE.findall(text) if "..." not in command})
