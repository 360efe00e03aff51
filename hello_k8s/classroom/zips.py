"""A zip archive: its directory judged as a whole, then only what is wanted unpacked, each to its limit."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence

from hello_k8s.classroom.members import MEMBER, Kind, Members, Name, Refused, printable
from hello_k8s.language import both

#: Bytes of the directory, which zipfile reads and takes apart as a whole: 5,000 names and what belongs to them.
_DIRECTORY = 1 << 20
#: Smallest size of what stands before a member's data, beside its name.
_LOCAL_HEADER = 30
#: zipfile unpacks the other methods without a limit.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED, _UTF8 = 0x1, 0x800
#: What zipfile and zlib raise for bytes that are no zip; there is no file behind them whose own errors these could be.
_NOT_A_ZIP = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError,
    ValueError, OverflowError, LookupError, OSError,
)  # fmt: skip


class _Bounded(io.BytesIO):
    """Bytes of which no more than a directory's worth is read at once, whatever the archive says of itself."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _DIRECTORY:
            raise Refused(both("intake.large_directory", limit=_DIRECTORY >> 20))
        return super().read(size)


def read_zip(data: bytes, members: Members) -> None:
    """Judge every member of the zip archive in `data`. Raises Refused where it can't go on."""
    try:
        with zipfile.ZipFile(_Bounded(data)) as archive:
            _read(archive, members)
    except _NOT_A_ZIP as error:
        raise Refused(both("intake.corrupt", why=str(error)[:200])) from error


def _read(archive: zipfile.ZipFile, members: Members) -> None:
    infos = archive.infolist()
    wanted: list[tuple[Name, zipfile.ZipInfo]] = []
    try:
        for info in infos:
            members.count()
            members.unpacked(info.file_size if info.file_size <= MEMBER else 0)
            name = _member(info, members)
            if name is not None:
                wanted.append((name, info))
    except Refused as refused:  # too many or too much: learner.toml may still be among those that were seen
        members.refuse(refused.reason)
    _no_overlap(infos, members)
    for name, info in wanted:
        _unpack(archive, info, name, members)


def _member(info: zipfile.ZipInfo, members: Members) -> Name | None:
    text = _name(info)
    name = members.add(text, _kind(info), info.file_size)
    if info.flag_bits & _ENCRYPTED:
        members.refuse(both("intake.encrypted", member=printable(text)))
        return None
    if name is not None and info.compress_type not in _METHODS:
        members.refuse(both("intake.method", member=printable(text)))
        return None
    return name


def _name(info: zipfile.ZipInfo) -> str:
    """The name as it was meant: zipfile takes one without the UTF-8 flag for cp437, as nobody has written for years."""
    text = info.orig_filename
    if info.flag_bits & _UTF8:
        return text
    raw = text.encode("cp437")
    for encoding in ("utf-8", "cp949"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return text


def _kind(info: zipfile.ZipInfo) -> Kind:
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode == stat.S_IFLNK:
        return "link"
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "special"
    return "folder" if info.orig_filename.endswith(("/", "\\")) else "file"


def _no_overlap(infos: Sequence[zipfile.ZipInfo], members: Members) -> None:
    """Members that share their packed bytes are how a small archive holds a large one."""
    end = -1
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            members.refuse(both("intake.overlap", member=printable(_name(info))))
            return
        end = info.header_offset + _LOCAL_HEADER + len(info.orig_filename) + info.compress_size


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: Name, members: Members) -> None:
    try:
        with archive.open(info) as file:
            content = file.read(info.file_size + 1)
            if len(content) != info.file_size:
                raise EOFError(f"{len(content)} of {info.file_size}")
    except _NOT_A_ZIP as error:
        members.refuse(both("intake.corrupt", why=str(error)[:200]))
    else:
        members.content(name, content)
