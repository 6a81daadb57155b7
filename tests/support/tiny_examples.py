"""Twenty examples of the record format, without decodable images."""

from __future__ import annotations

from typing import Any


def example(index: int) -> dict[str, Any]:
    return {
        "image/encoded": bytes([index]) * 50,
        "image/format": b"jpeg",
        "image/height": 16,
        "image/width": 16,
        "image/class/label": index % 2 - 1,
        "image/class/synset": b"n01",
        "image/class/text": "Köter".encode(),
        "image/filename": b"%d.JPEG" % index,
    }


EXAMPLES = [example(index) for index in range(20)]
