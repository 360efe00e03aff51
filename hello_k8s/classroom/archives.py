"""One archive of a class folder: read within limits, in memory, and never unpacked under names of its own."""

from __future__ import annotations

from hello_k8s.classroom.members import Contents, Members, Refused, Wanted
from hello_k8s.classroom.tarballs import read_tar
from hello_k8s.classroom.zips import read_zip
from hello_k8s.language import both

_TAR_MAGIC = slice(257, 262)


def read_archive(data: bytes, wanted: Wanted) -> Contents:
    """What the archive in `data` (.tar.gz, .tar or .zip, told by its bytes) shows of the deliverables in `wanted`.

    Raises nothing for any bytes: what is wrong with them is in the contents, as `refused` for each lab that the
    archive shows, or as `reason` where not even its learner.toml can be read.
    """
    members = Members(wanted, len(data))
    try:
        if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            read_zip(data, members)
        elif data[:2] == b"\x1f\x8b" or data[_TAR_MAGIC] == b"ustar":
            read_tar(data, members)
        else:
            raise Refused(both("intake.no_archive"))
    except Refused as refused:
        members.refuse(refused.reason)
    return members.contents()
