"""Verification of an archive by its SHA-256 or by the content of its members."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tqdm import tqdm

from tiny_imagenet.archive.zip_archive import GET_AGAIN, Archive
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import sha256_of


def verify(
    path: Path, sha256: str | None = None, content_sha256: str | None = None, size_bytes: int | None = None
) -> None:
    """Compares an archive with the published one: its SHA-256, or else its content fingerprint.

    Args:
        path: The zip file to check.
        sha256: SHA-256 of the published zip, in hexadecimal.
        content_sha256: Its content fingerprint (see `content_fingerprint`), which a re-packed zip keeps.
        size_bytes: Size of the published zip; used in the error message only.

    Raises:
        InputError: Neither is equal; the message shows the expected and the actual values.
    """
    if sha256 is None and content_sha256 is None:
        raise ValueError("verify needs sha256 or content_sha256")
    problems = []
    if sha256 is not None:
        try:
            found, found_bytes = sha256_of(path), path.stat().st_size
        except OSError as error:
            raise InputError(path, f"cannot be read: {error.strerror}", "check the path and its permissions") from None
        if found == sha256:
            return
        problems.append(f"SHA-256 is {found}, expected {sha256}")
        if size_bytes not in (None, found_bytes):
            problems.append(f"size is {found_bytes:,} bytes, expected {size_bytes:,}")
    if content_sha256 is not None:
        found = content_fingerprint(path)
        if found == content_sha256:
            return
        problems.append(f"content fingerprint is {found}, expected {content_sha256}")
    raise InputError(path, ", ".join(problems), GET_AGAIN)


def content_fingerprint(path: Path) -> str:
    """Returns the SHA-256 of the lines `<SHA-256 of a member>  <its name>`, sorted by name.

    It does not depend on how the zip was packed. Shows a progress bar on a terminal.
    """
    lines = hashlib.sha256()
    with Archive(path) as archive:
        # Names are ASCII: sorting them as text or as bytes is the same.
        for name in tqdm(archive.names, desc="verifying", unit=" members", unit_scale=True, leave=False, disable=None):
            digest = hashlib.sha256(archive.read(name)).hexdigest()
            lines.update(f"{digest}  {archive.root}/{name}\n".encode())
    return lines.hexdigest()
