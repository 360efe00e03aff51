"""Archives that somebody made to do harm, for whoever needs one: each with a right answer and learner.toml in it."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

GIB = 1 << 30
#: A mebibyte of zeros, deflated so that it can be repeated: a gibibyte costs a thousand copies, no time.
_ZEROS = (lambda c: c.compress(bytes(1 << 20)) + c.flush(zlib.Z_FULL_FLUSH))(zlib.compressobj(9, zlib.DEFLATED, -15))


@dataclass(frozen=True)
class Member:
    """One member of a tar archive; `size` says another size than the data has."""

    name: str
    data: bytes = b""
    type: bytes = tarfile.REGTYPE
    link: str = ""
    size: int | None = None


def tar(members: Iterable[Member]) -> bytes:
    """A tar archive, not compressed, of members that may be anything."""
    parts = []
    for member in members:
        info = tarfile.TarInfo(member.name)
        info.type, info.linkname = member.type, member.link
        info.size = len(member.data) if member.size is None else member.size
        parts.append(info.tobuf(tarfile.PAX_FORMAT) + member.data + bytes(-len(member.data) % 512))
    return b"".join(parts) + bytes(1024)


@dataclass(frozen=True)
class Zipped:
    """One member of a zip archive; everything that the directory says of it can be a lie."""

    name: bytes
    data: bytes = b""
    mode: int = stat.S_IFREG | 0o644
    flags: int = 0
    method: int = 8
    size: int | None = None
    deflated: bytes | None = None
    offset: int | None = None


def zipped(members: Iterable[Zipped], times: int = 1) -> bytes:
    """A zip archive of members that may be anything; its directory names the last one so many times."""
    body, directory = bytearray(), bytearray()
    count = 0
    for member in members:
        deflated = member.deflated
        if deflated is None:
            deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
            deflated = deflate.compress(member.data) + deflate.flush() if member.method == 8 else member.data
        size = len(member.data) if member.size is None else member.size
        offset = len(body) if member.offset is None else member.offset
        common = struct.pack("<HHHHHLLLHH", 20, member.flags, member.method, 0, 33, zlib.crc32(member.data),
                             len(deflated), size, len(member.name), 0)  # fmt: skip
        if member.offset is None:
            body += b"PK\x03\x04" + common + member.name + deflated
        directory += b"PK\x01\x02" + struct.pack("<H", 3 << 8 | 20) + common
        directory += struct.pack("<HHHLL", 0, 0, 0, member.mode << 16, offset) + member.name
        count += 1
    last = 46 + len(member.name)
    directory += directory[-last:] * (times - 1)
    count += times - 1
    end = struct.pack("<HHHHLLH", 0, 0, count & 0xFFFF, count & 0xFFFF, len(directory), len(body), 0)
    return bytes(body + directory + b"PK\x05\x06" + end)


def _zeros_gz(before: bytes, gibibytes: int) -> bytes:
    """A gzip stream of `before` and gibibytes of zeros. Nobody gets to its checksum, which is wrong."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = deflate.compress(before) + deflate.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + head + _ZEROS * (1024 * gibibytes) + b"\x03\x00" + bytes(8)


#: Kinds of which not even learner.toml can be read: these end unmapped, the others as a refused answer.
ANONYMOUS = frozenset({"zip-100,000-files", "wrong-checksum"})


class Hostile:
    """Every kind, by one learner: `Hostile("kim", "ch1/multi-stage/Dockerfile", b"FROM …").all()`."""

    def __init__(self, learner: str, deliverable: str, answer: bytes, seed: int = 1) -> None:
        self.learner = learner
        self.folder = learner
        self.path = f"{learner}/{deliverable}"
        self.answer = answer
        self.identity = f'id = "{learner}"\nseed = {seed}\n'.encode()

    def all(self) -> dict[str, tuple[str, bytes]]:
        """Kind → file name and bytes. None of it is an answer; `ANONYMOUS` are those whose learner can't be known."""
        made: dict[str, tuple[str, bytes]] = {}
        for kind, members in self._tars().items():
            made[kind] = (f"{self.learner}.tar.gz", gzip.compress(tar(self._around(members)), 1, mtime=0))
        for kind, entries in self._zips().items():
            made[f"zip-{kind}"] = (f"{self.learner}.zip", zipped(self._zipped_around(entries)))
        for kind, make in self._whole().items():
            made[kind] = (f"{self.learner}{'.zip' if kind.startswith('zip-') else '.tar.gz'}", make())
        return made

    def _around(self, members: Iterable[Member]) -> list[Member]:
        there = list(members)
        answer = [] if any(member.name == self.path for member in there) else [Member(self.path, self.answer)]
        return [Member(f"{self.folder}/learner.toml", self.identity), *answer, *there]

    def _zipped_around(self, members: Iterable[Zipped]) -> list[Zipped]:
        there = list(members)
        path = self.path.encode()
        answer = [] if any(member.name == path for member in there) else [Zipped(path, self.answer)]
        return [Zipped(f"{self.folder}/learner.toml".encode(), self.identity), *answer, *there]

    def _tars(self) -> dict[str, list[Member]]:
        chapter = "/".join(self.path.split("/")[:2])
        return {
            "traversal": [Member("../../../canary", b"gone")],
            "traversal-inside": [Member(f"{self.folder}/ch1/../../../canary", b"gone")],
            "traversal-backslash": [Member("..\\..\\canary", b"gone")],
            "absolute": [Member("/tmp/canary", b"gone")],
            "drive": [Member("C:\\canary", b"gone")],
            "share": [Member("\\\\host\\share\\canary", b"gone")],
            "symlink": [Member(self.path, type=tarfile.SYMTYPE, link="/etc/passwd")],
            "symlink-folder": [Member(chapter, type=tarfile.SYMTYPE, link="/tmp"), Member(self.path, self.answer)],
            "hard-link": [Member(self.path, type=tarfile.LNKTYPE, link="/etc/passwd")],
            "device": [Member(self.path, type=tarfile.CHRTYPE)],
            "block-device": [Member(f"{self.folder}/disk", type=tarfile.BLKTYPE)],
            "pipe": [Member(self.path, type=tarfile.FIFOTYPE)],
            "duplicate": [Member(self.path, self.answer), Member(self.path, b"another")],
            "capitals": [Member(self.path, self.answer), Member(self.path.swapcase(), b"another")],
            "control": [Member(f"{self.folder}/\x1b[2J", b"")],
            "nul": [Member(f"{self.folder}/é\0.txt", b"")],
            "long-name": [Member(f"{self.folder}/{'n' * 300}", b"")],
            "deep": [Member(f"{self.folder}/" + "d/" * 100 + "x", b"")],
            "large-answer": [Member(self.path, b"#" * (2 << 20))],
            "sparse": [Member(f"{self.folder}/holes", type=tarfile.GNUTYPE_SPARSE, size=0)],
        }

    def _zips(self) -> dict[str, list[Zipped]]:
        path = self.path.encode()
        return {
            "traversal": [Zipped(b"../../../canary", b"gone")],
            "absolute": [Zipped(b"/tmp/canary", b"gone")],
            "drive": [Zipped(b"C:/canary", b"gone")],
            "backslash": [Zipped(b"..\\..\\canary", b"gone")],
            "symlink": [Zipped(path, b"/etc/passwd", stat.S_IFLNK | 0o777)],
            "pipe": [Zipped(path, b"", stat.S_IFIFO | 0o644)],
            "duplicate": [Zipped(path, self.answer), Zipped(path, b"another")],
            "nul": [Zipped(self.folder.encode() + b"/a\0b", b"")],
            "encrypted": [Zipped(path, self.answer, flags=1)],
            "method": [Zipped(path, self.answer, method=14)],
            "wrong-size": [Zipped(path, self.answer, size=len(self.answer) + 7)],
            "wrong-sum": [Zipped(path, self.answer, deflated=zlib.compress(b"another", 9)[2:-4])],
            "overlap": [Zipped(f"{self.folder}/{n}".encode(), offset=0, deflated=_ZEROS, size=1 << 20)
                        for n in range(40)],
            "2-gb": [Zipped(path, deflated=_ZEROS * 2048, size=2 * GIB - 1)],
            "ratio": [Zipped(f"{self.folder}/{n}".encode(), deflated=_ZEROS * 8, size=8 << 20) for n in range(6)],
        }  # fmt: skip

    def _whole(self) -> dict[str, Callable[[], bytes]]:
        first = tar([*self._around([])])[:-1024]
        large = tarfile.TarInfo(f"{self.folder}/large")
        large.size = 2 * GIB
        header = tarfile.TarInfo("header")
        header.type, header.size = tarfile.XHDTYPE, 2 * GIB
        return {
            "2-gb": lambda: _zeros_gz(first + large.tobuf(), 2),
            "2-gb-of-header": lambda: _zeros_gz(first + header.tobuf(), 2),
            "100,000-files": lambda: gzip.compress(first + many_files(100_000) + bytes(1024), 1),
            "zip-100,000-files": lambda: zipped([*self._zipped_around([]), Zipped(b"again", method=0)], 100_000),
            "zip-6,000-files": lambda: zipped([*self._zipped_around([]), Zipped(b"again", method=0)], 6_000),
            "truncated": lambda: gzip.compress(tar(self._around([Member("x", random_bytes(50_000))])))[:30_000],
            "wrong-checksum": lambda: gzip.compress(tar(self._around([])))[:-8] + bytes(8),
        }


def many_files(count: int) -> bytes:
    """Headers of so many empty files; the names come again after ten thousand, where nobody should get."""
    block = bytearray(tarfile.TarInfo("0" * 8).tobuf(tarfile.USTAR_FORMAT))
    rest = sum(block[8:148]) + sum(block[156:]) + 8 * ord(" ")
    out = io.BytesIO()
    for number in range(10_000):
        block[0:8] = b"%08d" % number
        block[148:156] = b"%06o\0 " % (rest + sum(block[0:8]))
        out.write(block)
    return out.getvalue() * (count // 10_000)


def random_bytes(count: int) -> bytes:
    """Bytes that don't compress, the same every time."""
    import random

    return random.Random(1).randbytes(count)
