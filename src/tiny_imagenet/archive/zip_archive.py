"""The dataset archive: a zip in Tiny ImageNet's layout, read member by member through an allow-list of names."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from pathlib import Path

from tiny_imagenet.core.errors import InputError

MAX_MEMBERS = 1_000_000
MAX_MEMBER_BYTES = 64 * 2**20
MAX_INFLATED_BYTES = 8 * 2**30
MAX_RATIO = 100  # of inflated to compressed bytes; JPEGs are near 1, the text files stay under 20

# No separator, no leading dot: cannot leave its folder. No longer than a file system's names.
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}"
IDENTIFIER = re.compile(_NAME)  # of a class
_LAYOUT = re.compile(
    rf"""(?P<root>{_NAME})/(?:
        wnids\.txt | words\.txt
      | train/(?P<wnid>{_NAME})/(?: images/{_NAME}\.JPEG | (?P=wnid)_boxes\.txt )
      | val/(?: images/{_NAME}\.JPEG | val_annotations\.txt )
      | test/images/{_NAME}\.JPEG
    )""",
    re.VERBOSE,
)
_ENCRYPTED = 0x1
GET_AGAIN = "get the archive again from a source you trust"
REPAIR = "repair the archive, or fetch it again"


class Archive:
    """A zip in Tiny ImageNet's layout, open for reading; refuses any member outside the layout.

    Threads may share one. It pickles as its path: a process that unpickles it opens the file itself.

    Args:
        path: The zip file.

    Attributes:
        path: The zip file.
        root: The top folder of all members.
        names: Paths of the file members, relative to `root`, sorted.

    Raises:
        InputError: The file is missing, is no complete zip, or has a member that is unsafe, unexpected or too large.
    """

    def __init__(self, path: Path | str) -> None:
        """Opens the file and checks the headers of all its members."""
        self.path = Path(path)
        try:
            self._zip = zipfile.ZipFile(self.path)
        except FileNotFoundError:
            raise InputError(self.path, "not found", "run `dvc repro fetch`") from None
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            size = f" ({self.path.stat().st_size:,} bytes)" if self.path.is_file() else ""
            raise InputError(self.path, f"is not a complete zip file{size}: {error}", GET_AGAIN) from None
        try:
            self.root, self._members = self._checked_members()
        except BaseException:
            self.close()
            raise
        self.names = sorted(self._members)

    def read(self, name: str) -> bytes:
        """Returns the bytes of a member after checking their length and CRC.

        Args:
            name: Its path relative to `root`.

        Raises:
            InputError: There is no such member, or it is damaged.
        """
        where = f"{self.path}: {self.root}/{name}"
        if name not in self._members:
            raise InputError(where, "is missing from the archive", GET_AGAIN)
        info = self._members[name]
        try:
            with self._zip.open(info) as member:
                # The number of bytes bounds the inflation: read() without it trusts the data.
                data = member.read(info.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise InputError(where, f"is damaged: {error}", GET_AGAIN) from None
        if len(data) != info.file_size:
            raise InputError(where, f"holds {len(data):,} bytes, not the {info.file_size:,} of its header", GET_AGAIN)
        return data

    def close(self) -> None:
        """Closes the file."""
        self._zip.close()

    def __enter__(self) -> Archive:
        """Returns itself, open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file."""
        self.close()

    def __reduce__(self) -> tuple[type[Archive], tuple[Path]]:
        """Pickles as a path."""
        return Archive, (self.path,)

    def _checked_members(self) -> tuple[str, dict[str, zipfile.ZipInfo]]:
        infos = self._zip.infolist()
        if len(infos) > MAX_MEMBERS:
            raise InputError(self.path, f"has {len(infos):,} members, more than {MAX_MEMBERS:,}", GET_AGAIN)
        root, members, inflated_bytes = "", {}, 0
        for info in infos:
            refusal = _refusal(info)
            if refusal is None and not info.is_dir():
                top, _, name = info.filename.partition("/")
                root = root or top
                inflated_bytes += info.file_size
                if top != root:
                    refusal = f"is outside the archive's top folder {root!r}"
                elif name in members:
                    refusal = "is a duplicate name"
                elif inflated_bytes > MAX_INFLATED_BYTES:
                    refusal = f"brings the inflated size over {MAX_INFLATED_BYTES:,} bytes"
                members[name] = info
            if refusal is not None:
                raise InputError(f"{self.path}: {info.orig_filename!r}", refusal, GET_AGAIN)
        if not members:
            raise InputError(self.path, "is an empty zip file", GET_AGAIN)
        return root, members


def _refusal(info: zipfile.ZipInfo) -> str | None:
    """Returns the reason to refuse a member, judged by its header, or None."""
    name = info.orig_filename  # as stored: `filename` ends at a NUL and has the system's separator replaced
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a symbolic link"
    if name.startswith("/") or "\\" in name or ":" in name or "\0" in name or ".." in name.split("/"):
        return "is an unsafe name"
    if info.is_dir():
        return None
    if kind not in (0, stat.S_IFREG):
        return "is not a plain file"
    if not _LAYOUT.fullmatch(name):
        return "is not a file of Tiny ImageNet's layout"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed by a method other than deflate"
    if info.file_size > MAX_MEMBER_BYTES:
        return f"inflates to {info.file_size:,} bytes, more than {MAX_MEMBER_BYTES:,}"
    if info.file_size > MAX_RATIO * max(info.compress_size, 1):
        return f"inflates {info.compress_size:,} bytes to {info.file_size:,}, more than {MAX_RATIO} times"
    return None
