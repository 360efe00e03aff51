"""What the system refuses, which is no bug: somebody else's file, a place that can't be written, a full disk, a file
where a folder should be.
"""

from __future__ import annotations

import errno
import os
import pwd
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hello_k8s import paths
from hello_k8s.errors import HelloError, MachineError
from hello_k8s.language import t

_FULL = (errno.ENOSPC, errno.EDQUOT)
_OTHER_KIND = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def explained(error: OSError) -> MachineError | None:
    """What `error` means to the person at the keyboard; None where it may well be a bug of ours."""
    named = error.filename if isinstance(error.filename, str | bytes | os.PathLike) else None
    file = Path(os.fsdecode(named)) if named else None
    why = error.strerror or str(error)
    if error.errno in _FULL:
        what = t("cli.disk_full_file", file=file) if file else t("cli.disk_full")
        return MachineError(what, why=why, next=t("engine.no_space_next"))
    if error.errno in _REFUSED and file is not None:  # without a file it may be a process, or a port
        return MachineError(t("cli.refused", file=file), why=why, next=_owned_by_another(file) or t("cli.refused_next"))
    if error.errno in _OTHER_KIND:
        return _other_kind(error, why)
    return None


def ordinary(error: BaseException) -> HelloError | None:
    """What `error` says to the person at the keyboard, be it ours or the system's; None where it is a bug."""
    if isinstance(error, HelloError):
        return error
    return explained(error) if isinstance(error, OSError) else None


def _other_kind(error: OSError, why: str) -> MachineError | None:
    """A folder in the place of a file or a file in that of a folder, where one is seen there."""
    named = [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes | os.PathLike)]
    for file in map(Path, map(os.fsdecode, named)):
        if error.errno == errno.EISDIR:
            if file.is_dir():
                return MachineError(t("cli.is_folder", file=file), why=why, next=t("cli.other_kind_next"))
            continue
        there = next((path for path in (file, *file.parents) if os.path.lexists(path)), file)
        if not there.is_dir() and os.path.lexists(there):
            return MachineError(t("cli.is_file", file=there), why=why, next=t("cli.other_kind_next"))
    return None


def _owned_by_another(file: Path) -> str:
    """The command that makes `file` ours again, where it lies in a folder of ours and is another user's."""
    there = next((path for path in (file.absolute(), *file.absolute().parents) if _owner(path) is not None), None)
    folder = next((folder for folder in _ours() if there and there.is_relative_to(folder)), None)
    if there is None or folder is None or _owner(there) == os.geteuid():
        return ""
    owner = str(_owner(there))
    with suppress(KeyError):
        owner = pwd.getpwuid(int(owner)).pw_name
    return t("cli.refused_owner_next", owner=owner, folder=shlex.quote(str(folder)))


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid
    except OSError:  # not there, or in a folder that we may not look into
        return None


def _ours() -> Iterator[Path]:
    for folder in (paths.state, paths.workspace, paths.cache):
        with suppress(OSError):  # it can't be made: then it is the folder above that isn't ours
            yield folder().absolute()
