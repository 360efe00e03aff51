"""Archives, made well and made to do harm: what is read, what is refused, how long it takes, and what it changes."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hello_k8s import catalog, paths
from hello_k8s.catalog import Lab
from hello_k8s.classroom.archives import read_archive
from hello_k8s.classroom.intake import read_class
from hello_k8s.classroom.members import Contents, Refused, Wanted, name_of, printable
from hello_k8s.grading.manifests import LIMIT_BYTES as DELIVERABLE
from hello_k8s.workspace.packing import archived
from tests.unit.hostile_archives import ANONYMOUS, Hostile, Member, Zipped, tar, zipped

#: CPU seconds that one hostile archive may cost: a class of a hundred takes more than a minute.
SECONDS = 1.0
LAB = "ch1/multi-stage"
PATH = f"{LAB}/Dockerfile"
ANSWER = b"FROM debian\n"
IDENTITY = b'id = "kim"\nseed = 7\n'


@pytest.fixture(scope="module")
def labs() -> tuple[Lab, ...]:
    return tuple(lab for lab in catalog.labs() if lab.id in (LAB, "ch2/service"))


@pytest.fixture(scope="module")
def wanted(labs: tuple[Lab, ...]) -> Wanted:
    return Wanted(labs)


HOSTILE = Hostile("kim", PATH, ANSWER).all()


def everything(folder: Path, *, but: Path) -> Mapping[str, object]:
    """What lies below `folder`, as far as anybody could have changed it."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if but not in (path, *path.parents):
            kind = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            found[str(path)] = (kind.st_mode, kind.st_size, kind.st_mtime_ns, hash(content))
    return found


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_no_answer(
    kind: str, labs: tuple[Lab, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, data = HOSTILE[kind]
    folder, store = tmp_path / "a" / "b" / "class", tmp_path / "a" / "store"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(data)
    (tmp_path / "canary").write_text("alive")
    monkeypatch.chdir(folder.parent)
    before = everything(tmp_path, but=store)

    began = time.process_time()
    roster = read_class(folder, labs, store)
    took = time.process_time() - began

    assert took < SECONDS
    after = everything(tmp_path, but=store)
    assert {path: what for path, what in after.items() if path != str(store.parent)} == {
        path: what for path, what in before.items() if path != str(store.parent)
    }
    assert not Path("/tmp/canary").exists()
    assert not [path for path in store.rglob("*") if not path.is_dir()], "something of it was unpacked"
    if kind in ANONYMOUS:
        assert not roster.entries
        reason = roster.unmapped[0].reason
    else:
        assert roster.learners == ("kim",)
        assert LAB in {entry.lab for entry in roster.entries}
        assert all(entry.refused for entry in roster.entries)
        reason = next(entry.refused for entry in roster.entries if entry.refused)
    assert set(reason) == {"ko", "en"} and reason["ko"] != reason["en"]
    assert all(text.isprintable() for text in reason.values())


REASONS = {
    "traversal": "../../../canary",
    "traversal-backslash": "..\\..\\canary",
    "drive": "C:\\canary",
    "symlink": "kim/ch1/multi-stage/Dockerfile is a link",
    "hard-link": "kim/ch1/multi-stage/Dockerfile is a link",
    "device": "device",
    "pipe": "pipe",
    "duplicate": "twice",
    "capitals": "capitals",
    "control": "kim/\\x1b[2J",
    "nul": "\\x00",
    "large-answer": "larger than 1 MiB",
    "2-gb": "kim/large is larger than 16 MiB",
    "2-gb-of-header": "header of more than 64 KiB",
    "100,000-files": "more than 5000 names",
    "zip-6,000-files": "more than 5000 names",
    "zip-encrypted": "without a password",
    "zip-ratio": "200 times",
    "zip-overlap": "",
    "truncated": "ends in the middle",
}


@pytest.mark.parametrize("kind", REASONS)
def test_the_reason_names_what_is_wrong(kind: str, wanted: Wanted) -> None:
    contents = read_archive(HOSTILE[kind][1], wanted)
    assert REASONS[kind] in contents.refused[LAB]["en"]
    assert not contents.answers


def test_overlap_alone_is_refused(wanted: Wanted) -> None:
    """Small enough for every other limit."""
    entries = [Zipped(b"kim/learner.toml", IDENTITY), Zipped(f"kim/{PATH}".encode(), ANSWER)]
    entries += [Zipped(b"kim/%d" % number, offset=0, deflated=b"x" * 40, size=40) for number in range(3)]
    assert "shares its bytes" in read_archive(zipped(entries), wanted).refused[LAB]["en"]


@pytest.mark.parametrize("kind", ["2-gb", "2-gb-of-header", "zip-2-gb", "100,000-files", "zip-100,000-files"])
def test_it_takes_almost_no_memory(kind: str, tmp_path: Path) -> None:
    """In a process of its own, whose memory the system measures and that must end in time."""
    file = tmp_path / "archive"
    file.write_bytes(HOSTILE[kind][1])
    script = f"""
import re
import resource
import sys
from pathlib import Path
from hello_k8s.classroom.archives import read_archive
from hello_k8s.classroom.members import Wanted
data = Path({str(file)!r}).read_bytes()
def peak():
    if sys.platform == "linux":  # ru_maxrss begins at the parent's peak
        return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
contents = read_archive(data, Wanted([]))
assert contents.reason
print(peak() - before)
"""
    run = subprocess.run([sys.executable, "-c", script], cwd=paths.ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(run.stdout) * unit < 24 << 20


def good(**files: bytes) -> dict[str, bytes]:
    return {"kim/learner.toml": IDENTITY, f"kim/{PATH}": ANSWER, **files}


def answer(contents: Contents) -> bytes:
    assert contents.reason is None, contents.reason
    assert contents.learner == IDENTITY
    return contents.answers[LAB]["Dockerfile"]


@pytest.mark.parametrize("name", ["kim.tar.gz", "kim.zip"])
def test_what_lab_pack_makes(name: str, wanted: Wanted) -> None:
    assert answer(read_archive(archived(good(), name), wanted)) == ANSWER


#: What makes an archive of entries.
Maker = Callable[[Mapping[str, bytes]], bytes]


def by_tar(mode: str, kind: int) -> Maker:
    def make(entries: Mapping[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode, format=kind) as archive:  # type: ignore[call-overload]
            folder = tarfile.TarInfo("./kim")
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
            for name, data in entries.items():
                info = tarfile.TarInfo(f"./{name}")
                info.size, info.mtime = len(data), 1.5
                archive.addfile(info, io.BytesIO(data))
        return buffer.getvalue()

    return make


def by_zip(entries: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.mkdir("kim")
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


MAKERS: dict[str, Maker] = {
    "gnu": by_tar("w:gz", tarfile.GNU_FORMAT),
    "pax": by_tar("w:gz", tarfile.PAX_FORMAT),
    "ustar": by_tar("w:gz", tarfile.USTAR_FORMAT),
    "unzipped by a browser": by_tar("w", tarfile.GNU_FORMAT),
    "zip": by_zip,
    "windows": lambda entries: zipped([Zipped(k.replace("/", "\\").encode(), v, mode=0) for k, v in entries.items()]),
    "two gzips": lambda entries: (
        lambda whole: gzip.compress(whole[:700]) + gzip.compress(whole[700:])
    )(by_tar("w", tarfile.PAX_FORMAT)(entries)),
}  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS)
def test_by_hand(maker: str, wanted: Wanted) -> None:
    entries = good(**{f"kim/{'n' * 60}/{'m' * 60}.txt": b"x", "kim/-o": b"", "kim/--help": b"", "kim/ch1/notes": b""})
    assert answer(read_archive(MAKERS[maker](entries), wanted)) == ANSWER


@pytest.mark.parametrize("prefix", ["", "kim/", "Downloads/my submission/kim/", "제출/김철수/"])
@pytest.mark.parametrize("maker", ["gnu", "pax", "zip"])
def test_an_extra_folder_level_or_none(maker: str, prefix: str, wanted: Wanted) -> None:
    entries = {f"{prefix}learner.toml": IDENTITY, f"{prefix}{PATH}": ANSWER}
    assert answer(read_archive(MAKERS[maker](entries), wanted)) == ANSWER


@pytest.mark.parametrize("raw", ["김철수".encode("cp949"), "김".encode(), b"\xff\xfe\x81"], ids=repr)
def test_a_zip_whose_names_are_in_no_said_encoding(raw: bytes, wanted: Wanted) -> None:
    entries = [Zipped(raw + b"/learner.toml", IDENTITY), Zipped(raw + b"/" + PATH.encode(), ANSWER)]
    assert answer(read_archive(zipped(entries), wanted)) == ANSWER


def test_a_zip_made_on_a_mac(wanted: Wanted) -> None:
    entries = good(**{
        "__MACOSX/kim/._learner.toml": b"\0", f"__MACOSX/kim/{LAB}/._Dockerfile": b"\0",
        "kim/.DS_Store": b"\0", "kim/Icon\r": b"",
    })  # fmt: skip
    assert answer(read_archive(by_zip(entries), wanted)) == ANSWER


def test_composed_and_decomposed_are_one_folder(wanted: Wanted) -> None:
    """A Mac decomposes the name of the one, another system doesn't that of the other."""
    entries = {"\u1100\u1175\u11b7/learner.toml": IDENTITY, f"\uae40/{PATH}": ANSWER}
    assert answer(read_archive(by_zip(entries), wanted)) == ANSWER


def test_its_own_checks_are_no_deliverables(wanted: Wanted) -> None:
    planted = ["checks.py", "conftest.py", "lab.toml", "pytest.ini", "pyproject.toml", "given/back.yaml"]
    entries = good(**{f"kim/{LAB}/{name}": b"raise SystemExit" for name in planted}, **{"kim/conftest.py": b"1/0"})
    contents = read_archive(by_zip(entries), wanted)
    assert contents.answers == {LAB: {"Dockerfile": ANSWER}}


def test_a_workspace_packed_whole(wanted: Wanted) -> None:
    """What the learner kept aside isn't the answer, nor is the archive that `lab pack` left there."""
    entries = {
        "workspace/learner.toml": IDENTITY, f"workspace/{PATH}": ANSWER, "workspace/kim.tar.gz": b"\x1f\x8b",
        f"workspace/.kept/20260101-000000/{PATH}": b"old", f"workspace/{LAB}.solution/Dockerfile": b"theirs",
    }  # fmt: skip
    contents = read_archive(by_zip(entries), wanted)
    assert answer(contents) == ANSWER
    assert not contents.misplaced


@pytest.mark.parametrize("name", ["kim/Dockerfile", "kim/multi-stage/Dockerfile", f"kim/work/{PATH}",
                                  f"kim/{PATH.lower()}"])  # fmt: skip
def test_a_misplaced_answer_is_shown_not_guessed(name: str, wanted: Wanted) -> None:
    contents = read_archive(by_zip({"kim/learner.toml": IDENTITY, name: ANSWER}), wanted)
    assert not contents.answers and not contents.refused
    assert name in contents.misplaced[LAB]["en"]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({f"kim/{PATH}": ANSWER}, "no learner.toml"),
        ({"kim/learner.toml": IDENTITY, "lee/learner.toml": IDENTITY}, "more than one learner.toml"),
        ({"all/kim.tar.gz": b"\x1f\x8b"}, "holds another archive, all/kim.tar.gz"),
        ({}, "no learner.toml"),
    ],
)
def test_of_whom_nothing_says(entries: dict[str, bytes], reason: str, wanted: Wanted) -> None:
    contents = read_archive(by_zip(entries), wanted)
    assert contents.learner is None and contents.reason is not None and reason in contents.reason["en"]


NO_ARCHIVES = [b"", b"<html>404</html>", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"Rar!", bytes(999)]


@pytest.mark.parametrize("data", NO_ARCHIVES, ids=lambda data: repr(data)[:20])
def test_what_is_no_archive(data: bytes, wanted: Wanted) -> None:
    contents = read_archive(data, wanted)
    assert contents.learner is None and contents.reason is not None


def test_a_zip_called_tar_and_the_other_way_round_are_what_their_bytes_say(wanted: Wanted) -> None:
    for name in ("kim.zip", "kim.tar.gz"):
        assert answer(read_archive(archived(good(), name), wanted)) == ANSWER


@given(
    st.lists(st.sampled_from(["a", "..", ".", "", "b c", "김", "-o", "C:", "x\x00", "y\n"]), max_size=5),
    st.sampled_from("/\\"),
)
def test_a_name_never_leads_out(parts: list[str], slash: str) -> None:
    try:
        name = name_of(slash.join(parts))
    except Refused:
        assert {"..", "C:", "x\x00", "y\n"} & set(parts) or parts[:1] in ([], [""])
    else:
        assert ".." not in name and all(part and "/" not in part and "\x00" not in part for part in name)


@given(st.text(st.characters(), max_size=300))
def test_what_is_shown_of_a_name_is_a_line_of_text(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable() and len(shown) <= 200
    shown.encode()


def of(*names: str) -> Wanted:
    labs = [lab for lab in catalog.labs() if lab.id in names]
    assert len(labs) == len(names)
    return Wanted(labs)


WANTED = of(LAB, "ch2/service")
BASES = [HOSTILE[kind][1] for kind in sorted(HOSTILE) if len(HOSTILE[kind][1]) < 3000]
BASES += [make(good()) for make in MAKERS.values()]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(BASES), st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=8),
       st.integers(0, 3000), st.booleans())  # fmt: skip
def test_whatever_the_bytes_are_nothing_is_raised(
    base: bytes, changes: list[tuple[int, int]], cut: int, inside: bool
) -> None:
    gzipped = base[:2] == b"\x1f\x8b"
    try:
        data = bytearray(gzip.decompress(base) if gzipped and inside else base)
    except (EOFError, OSError):
        data = bytearray(base)
    for position, value in changes:
        data[position % len(data)] = value
    whole = bytes(data[: len(data) - cut] if cut < len(data) else data)
    contents = read_archive(gzip.compress(whole, 1) if gzipped and inside else whole, WANTED)
    accepted_or_refused(contents)


MEMBERS = st.builds(
    Member,
    name=st.sampled_from(
        ["kim/learner.toml", f"kim/{PATH}", "kim", "kim/ch1", "../x", "/x", "lee/learner.toml", "é" * 99]
    ),
    data=st.sampled_from([IDENTITY, ANSWER, b"", b"x" * 600]),
    type=st.sampled_from([bytes([kind]) for kind in b"\0" + b"01234567LKxgSVDZ"]),
    link=st.sampled_from(["", "/etc/passwd", "learner.toml"]),
    size=st.sampled_from([None, None, None, 0, 513, 1 << 33, (1 << 40) + 1]),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(MEMBERS, max_size=6))
def test_whatever_the_members_are_nothing_is_raised(made: list[Member]) -> None:
    accepted_or_refused(read_archive(tar(made), WANTED))


ZIPPED = st.builds(
    Zipped,
    name=st.sampled_from(
        [b"kim/learner.toml", f"kim/{PATH}".encode(), b"kim/", b"..\\x", b"", b"\0", b"\xff/learner.toml"]
    ),
    data=st.sampled_from([IDENTITY, ANSWER, b""]),
    mode=st.integers(0, 0xFFFF),
    flags=st.integers(0, 0xFFFF),
    method=st.sampled_from([0, 8, 8, 8, 9, 12, 14, 99]),
    size=st.sampled_from([None, None, 0, 99, (1 << 32) - 1]),
    offset=st.sampled_from([None, None, None, 0, 12, 1 << 31]),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(ZIPPED, min_size=1, max_size=5))
def test_whatever_a_zip_says_of_its_members_nothing_is_raised(made: list[Zipped]) -> None:
    accepted_or_refused(read_archive(zipped(made), WANTED))


def test_a_folder_called_learner_toml_is_nobodys_name() -> None:
    contents = read_archive(tar([Member("kim/learner.toml", b"", tarfile.DIRTYPE, "", None)]), WANTED)
    assert contents.learner is None and contents.reason is not None and "learner.toml" in contents.reason["en"]


def accepted_or_refused(contents: Contents) -> None:
    if contents.reason is None:
        assert contents.learner is not None
    else:
        assert not contents.answers
    for files in contents.answers.values():
        assert all(len(data) <= DELIVERABLE for data in files.values())
