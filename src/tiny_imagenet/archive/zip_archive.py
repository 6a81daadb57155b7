"""The dataset archive: a zip in Tiny ImageNet's layout, verified, read by an allow-list of names, never unpacked."""

from __future__ import annotations

import hashlib
import re
import stat
import zipfile
import zlib
from pathlib import Path

from tqdm import tqdm

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import sha256_of

MAX_MEMBERS = 1_000_000
MAX_MEMBER_BYTES = 64 * 2**20
MAX_INFLATED_BYTES = 8 * 2**30
MAX_RATIO = 100  # inflated to packed bytes; JPEGs are near 1, the text files stay under 20

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"  # no separator, no leading dot: cannot leave its folder
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
_GET_ANOTHER = "get the archive again from a source you trust"


class Archive:
    """A zip in Tiny ImageNet's layout, open for reading; refuses any member that the layout does not know.

    Threads may share one. It pickles as its path: each process that it is sent to opens the file on its own.

    Args:
        path: The zip file.

    Attributes:
        path: The zip file.
        root: The top folder that all members share.
        names: File members relative to `root`, sorted.

    Raises:
        InputError: The file is missing, is not a whole zip, or has a member that is unsafe, unexpected or too large.
    """

    def __init__(self, path: Path | str) -> None:
        """Opens the file and checks the headers of all its members."""
        self.path = Path(path)
        try:
            self._zip = zipfile.ZipFile(self.path)
        except FileNotFoundError:
            raise InputError(self.path, "not found", "run the stage fetch") from None
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            size = f" ({self.path.stat().st_size:,} bytes)" if self.path.is_file() else ""
            raise InputError(self.path, f"is not a whole zip file{size}: {error}", _GET_ANOTHER) from None
        try:
            self.root, self._members = self._checked_members()
        except BaseException:
            self.close()
            raise
        self.names = sorted(self._members)

    def read(self, name: str) -> bytes:
        """Returns the bytes of a member, named relative to `root`, its length and CRC checked.

        Raises:
            InputError: There is no such member, or it is damaged.
        """
        where = f"{self.path}: {self.root}/{name}"
        if name not in self._members:
            raise InputError(where, "is missing from the archive", _GET_ANOTHER)
        info = self._members[name]
        try:
            with self._zip.open(info) as member:
                # Asking for a number of bytes is what bounds the inflation; a bare read() trusts the data.
                data = member.read(info.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise InputError(where, f"is damaged: {error}", _GET_ANOTHER) from None
        if len(data) != info.file_size:
            raise InputError(where, f"holds {len(data):,} bytes, not the {info.file_size:,} it claims", _GET_ANOTHER)
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
            raise InputError(self.path, f"has {len(infos):,} members, more than {MAX_MEMBERS:,}", _GET_ANOTHER)
        root, members, inflated_bytes = "", {}, 0
        for info in infos:
            problem = _problem(info)
            if problem is None and not info.is_dir():
                top, _, name = info.filename.partition("/")
                root = root or top
                inflated_bytes += info.file_size
                if top != root:
                    problem = f"is outside the archive's top folder {root!r}"
                elif name in members:
                    problem = "is there twice"
                elif inflated_bytes > MAX_INFLATED_BYTES:
                    problem = f"brings the inflated size over {MAX_INFLATED_BYTES:,} bytes"
                members[name] = info
            if problem is not None:
                raise InputError(f"{self.path}: {info.orig_filename!r}", problem, _GET_ANOTHER)
        if not members:
            raise InputError(self.path, "is an empty zip file", _GET_ANOTHER)
        return root, members


def verify(
    path: Path, sha256: str | None = None, content_sha256: str | None = None, size_bytes: int | None = None
) -> None:
    """Checks that an archive is the published one: by its SHA-256, or else by its content fingerprint.

    Args:
        path: The zip file.
        sha256: The hash of the published zip.
        content_sha256: The fingerprint of its members (see `content_fingerprint`), whatever the zip around them.
        size_bytes: The size of the published zip; only makes the error clearer.

    Raises:
        InputError: Neither agrees; shows what was expected and what was found.
    """
    if sha256 is None and content_sha256 is None:
        raise ValueError("verify needs sha256 or content_sha256")
    problems = []
    if sha256 is not None:
        try:
            found, found_bytes = sha256_of(path), path.stat().st_size
        except OSError as error:
            raise InputError(path, f"cannot be read: {error.strerror}", "correct the path, or mend the file") from None
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
    raise InputError(path, ", ".join(problems), _GET_ANOTHER)


def content_fingerprint(path: Path) -> str:
    """Returns the SHA-256 of the lines `<sha256 of a member>  <its name>`, sorted by name: the same for any re-pack.

    Shows a bar on a terminal.
    """
    lines = hashlib.sha256()
    with Archive(path) as archive:
        # Names are ASCII, so their order is that of their bytes.
        for name in tqdm(archive.names, desc="verifying", unit=" members", unit_scale=True, leave=False, disable=None):
            digest = hashlib.sha256(archive.read(name)).hexdigest()
            lines.update(f"{digest}  {archive.root}/{name}\n".encode())
    return lines.hexdigest()


def _problem(info: zipfile.ZipInfo) -> str | None:
    """Returns what is wrong with a member as its header describes it, or None."""
    name = info.orig_filename  # as stored: `filename` is cut at a NUL and has the system's separator replaced
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
        return "is packed by a method other than deflate"
    if info.file_size > MAX_MEMBER_BYTES:
        return f"inflates to {info.file_size:,} bytes, more than {MAX_MEMBER_BYTES:,}"
    if info.file_size > MAX_RATIO * max(info.compress_size, 1):
        return f"inflates {info.compress_size:,} bytes to {info.file_size:,}, more than {MAX_RATIO} times"
    return None
