"""A tar archive, gzipped or not, read once from front to back, and never further than the limits allow.

`tarfile` itself would read a header of any length into memory and search it in quadratic time; only its reading of
one 512-byte header block is used here. Nothing is extracted, so that its extraction filter has nothing to do.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator

from hello_k8s.classroom.members import Kind, Members, Refused
from hello_k8s.language import both

_BLOCK = 512
_CHUNK = 1 << 16
#: Bytes of one extended header: a path and some times take two hundred.
_HEADER = 1 << 16
#: Extended headers before one member: a path, a link's target, times.
_HEADERS = 4
#: `cat a.gz b.gz` is a gzip file too; nobody makes one of more parts.
_PARTS = 16
_KINDS: dict[bytes, Kind] = {
    tarfile.DIRTYPE: "folder", tarfile.LNKTYPE: "link", tarfile.SYMTYPE: "link",
    tarfile.CHRTYPE: "special", tarfile.BLKTYPE: "special", tarfile.FIFOTYPE: "special",
}  # fmt: skip


class _Ended(Exception):
    """The archive stops in the middle."""


def read_tar(data: bytes, members: Members) -> None:
    """Judge every member of the tar archive in `data`. Raises Refused where it can't go on."""
    stream = _Stream(_inflated(data, members) if data[:2] == b"\x1f\x8b" else _plain(data, members))
    try:
        _read(stream, members)
        stream.drain()
    except _Ended:
        raise Refused(both("intake.truncated")) from None
    except (zlib.error, tarfile.HeaderError, ValueError, OverflowError) as error:
        raise Refused(both("intake.corrupt", why=str(error))) from error


def _plain(data: bytes, members: Members) -> Iterator[bytes]:
    for start in range(0, len(data), _CHUNK):
        chunk = data[start : start + _CHUNK]
        members.unpacked(len(chunk))
        yield chunk


def _inflated(data: bytes, members: Members) -> Iterator[bytes]:
    view, position = memoryview(data), 0
    for _ in range(_PARTS):
        inflate = zlib.decompressobj(wbits=31)
        while not inflate.eof:
            # No more than a chunk at a time goes in: what is left over is copied at each call.
            fed = inflate.unconsumed_tail or bytes(view[position : position + _CHUNK])
            if not inflate.unconsumed_tail:
                position += len(fed)
            chunk = inflate.decompress(fed, _CHUNK)
            if not chunk and not fed:
                raise _Ended
            members.unpacked(len(chunk), position)
            yield chunk
        position -= len(inflate.unused_data)
        if bytes(view[position : position + 2]) != b"\x1f\x8b":
            return
    raise Refused(both("intake.corrupt", why="gzip"))


class _Stream:
    """Bytes that come in pieces, read in amounts."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; _Ended if there are fewer."""
        parts = []
        while size > 0:
            if not self._left:
                self._left = self._next()
            part, self._left = self._left[:size], self._left[size:]
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Leave out `size` bytes, keeping none of them."""
        while size > 0:
            if not self._left:
                self._left = self._next()
            taken = min(size, len(self._left))
            self._left = self._left[taken:]
            size -= taken

    def drain(self) -> None:
        """To the end, so that a checksum there is compared."""
        for _ in self._pieces:
            pass

    def at_end(self) -> bool:
        if not self._left:
            self._left = next(self._pieces, b"")
            while not self._left:
                piece = next(self._pieces, None)
                if piece is None:
                    return True
                self._left = piece
        return False

    def _next(self) -> bytes:
        for piece in self._pieces:
            if piece:
                return piece
        raise _Ended


def _read(stream: _Stream, members: Members) -> None:
    extended: dict[str, str] = {}
    headers = 0
    while not stream.at_end():
        block = stream.read(_BLOCK)
        if not block.strip(b"\0"):
            return
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if info.size < 0:
            raise Refused(both("intake.corrupt", why=f"size {info.size}"))
        if info.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            headers += 1
            if headers > _HEADERS:
                raise Refused(both("intake.corrupt", why=f"{headers} headers"))
            said = _extended(info, _padded(stream, info.size))
            extended |= said if info.type != tarfile.XGLTYPE else {}
            continue
        members.count()
        _member(info, block, extended, stream, members)
        extended, headers = {}, 0


def _padded(stream: _Stream, size: int) -> bytes:
    if size > _HEADER:
        raise Refused(both("intake.long_header", limit=_HEADER >> 10))
    data = stream.read(size)
    stream.skip(-size % _BLOCK)
    return data


def _extended(info: tarfile.TarInfo, data: bytes) -> dict[str, str]:
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": _text(data.split(b"\0", 1)[0])}
    if info.type == tarfile.GNUTYPE_LONGLINK:
        return {}
    found: dict[str, str] = {}
    position = 0
    while position < len(data) and data[position] != 0:
        length, separator, _ = data[position : position + 8].partition(b" ")
        if not separator or not length.isdigit() or int(length) <= len(length) + 2:
            raise Refused(both("intake.corrupt", why="pax"))
        record = data[position + len(length) + 1 : position + int(length)]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise Refused(both("intake.corrupt", why="pax"))
        found[_text(key)] = _text(value[:-1])
        position += int(length)
    if info.type == tarfile.XGLTYPE and found.keys() & {"path", "size"}:
        raise Refused(both("intake.corrupt", why="pax"))
    return found


def _text(raw: bytes) -> str:
    """A name as it was meant: UTF-8, or the encoding of Korean Windows."""
    for encoding in ("utf-8", "cp949"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("utf-8", "surrogateescape")


def _member(info: tarfile.TarInfo, block: bytes, extended: dict[str, str], stream: _Stream, members: Members) -> None:
    if info.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse") for key in extended):
        raise Refused(both("intake.sparse", member=info.name[:200].encode("ascii", "replace").decode()))
    name = extended.get("path") or _text(info.name.encode("utf-8", "surrogateescape"))
    size = int(extended["size"]) if extended.get("size", "").isdigit() else info.size
    kind = _KINDS.get(info.type, "file")
    if info.type == tarfile.AREGTYPE and name.endswith("/"):  # as tar did before folders had a type
        kind = "folder"
    wanted = members.add(name, kind, size if kind == "file" else 0)
    if kind != "file":
        return
    if wanted is None:
        stream.skip(size + -size % _BLOCK)
        return
    content = stream.read(size)
    stream.skip(-size % _BLOCK)
    members.content(wanted, content)
