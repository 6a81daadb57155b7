"""Text from other sources, made safe to print."""

from __future__ import annotations

import re

# Control characters, which terminals obey; Unicode's separators of lines and paragraphs; invisible characters that
# reorder text or have no width. The joiners U+200C and U+200D stay: Persian words and emoji need them.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u2069\ufeff]")


def printable(text: str) -> str:
    r"""Returns a text with each control or invisible character as an escape: `\x1b`, `\n`, `\u2028`."""
    return CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
