"""Who handed in what: every way a class folder may look, and what must never be guessed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import time
import unicodedata
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hello_k8s import catalog
from hello_k8s.catalog import Lab
from hello_k8s.classroom import exports, members
from hello_k8s.classroom.intake import read_class
from hello_k8s.classroom.model import Roster, Unmapped
from hello_k8s.classroom.run import grade_class, plan_class
from hello_k8s.errors import UsageError
from hello_k8s.workspace.identity import ID
from hello_k8s.workspace.packing import archived
from tests.unit.hostile_archives import Member, tar

FIRST, SECOND = "ch1/multi-stage", "ch2/service"
ANSWER = b"FROM debian\n"
DOCKERFILE = f"{FIRST}/Dockerfile"
LABS: tuple[Lab, ...] = tuple(catalog.lab(name) for name in (FIRST, SECOND))


def identity(learner: str, seed: int = 7) -> bytes:
    return f'id = "{learner}"\nseed = {seed}\n'.encode()


def handed_in(learner: str, seed: int = 7, /, **more: bytes) -> dict[str, bytes]:
    return {"learner.toml": identity(learner, seed), DOCKERFILE: ANSWER, **more}


class Class:
    """A class folder to fill, and what is read of it."""

    def __init__(self, base: Path) -> None:
        self.folder = base / "class"
        self.store = base / "store"
        self.folder.mkdir()

    def lay(self, where: str, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            file = self.folder / where / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)

    def pack(self, where: str, files: Mapping[str, bytes], inside: str = "kim") -> None:
        file = self.folder / where
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(archived({f"{inside}/{name}": data for name, data in files.items()}, where))

    def read(self) -> Roster:
        return read_class(self.folder, LABS, self.store)


@pytest.fixture
def course(tmp_path: Path) -> Class:
    return Class(tmp_path)


def answers(roster: Roster) -> dict[tuple[str, str], dict[str, bytes]]:
    return {
        (entry.learner, entry.lab): {
            file.relative_to(entry.folder).as_posix(): file.read_bytes()
            for file in entry.folder.rglob("*")
            if file.is_file()
        }
        for entry in roster.entries
    }


def only(roster: Roster) -> Unmapped:
    assert len(roster.unmapped) == 1, roster.unmapped
    return roster.unmapped[0]


@pytest.mark.parametrize(
    "where",
    [
        "kim",
        "Kim 123 submission",
        "a/b/c/d/kim",
        "-o",
        "--help",
        "반 1/김 철수",
        unicodedata.normalize("NFD", "김 철수"),
        "",
    ],
)
def test_a_folder_with_learner_toml(course: Class, where: str) -> None:
    course.lay(where, handed_in("kim"))
    roster = course.read()
    assert answers(roster) == {("kim", FIRST): {"Dockerfile": ANSWER}}
    assert roster.learners == ("kim",)
    assert roster.entries[0].source == (where or ".")
    assert roster.entries[0].seed == 7
    assert not roster.unmapped


@pytest.mark.parametrize(
    "where",
    ["kim.tar.gz", "kim.tgz", "kim.zip", "Kim_123_submission/kim.tar.gz", "김 철수.ZIP", "-o.zip", "a/b/c.tar.gz"],
)
def test_an_archive_anywhere(course: Class, where: str) -> None:
    course.pack(where, handed_in("kim"))
    roster = course.read()
    assert answers(roster) == {("kim", FIRST): {"Dockerfile": ANSWER}}
    assert roster.entries[0].source == where
    assert not roster.unmapped


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_korean_name_is_one_name_in_both_forms(course: Class, form: Literal["NFC", "NFD"]) -> None:
    name = unicodedata.normalize(form, "김철수")
    course.lay(name, handed_in(name))
    course.pack("late.tar.gz", {"learner.toml": identity("김철수"), f"{SECOND}/back.yaml": b"x"})
    roster = course.read()
    assert roster.learners == ("김철수",)
    assert [(entry.learner, entry.lab) for entry in roster.entries] == [("김철수", FIRST), ("김철수", SECOND)]


@pytest.mark.parametrize(
    "data",
    [
        b'\xef\xbb\xbfid = "kim"\r\nseed = 7\r\n',
        b'seed=7\nid="kim"',
        b'# me\r\n\r\nid = \'kim\'\r\nseed = 0x7 # drawn\r\n',
    ],
    ids=["bom and crlf", "bare", "comments"],
)  # fmt: skip
def test_learner_toml_as_editors_leave_it(course: Class, data: bytes) -> None:
    course.lay("kim", handed_in("kim") | {"learner.toml": data})
    course.pack("kim.zip", handed_in("kim") | {"learner.toml": data})
    roster = course.read()
    assert answers(roster) == {("kim", FIRST): {"Dockerfile": ANSWER}}
    assert roster.entries[0].seed == 7


BROKEN = {
    "no TOML": (b"id = kim", "learner.toml is no TOML"),
    "not UTF-8": ('id = "김"'.encode("cp949"), "learner.toml is no TOML"),
    "empty": (b"", "learner.toml, key `id`: expected a text"),
    "no seed": (b'id = "kim"', "learner.toml, key `seed`: expected a whole number"),
    "an id that is none": (b'id = "../lee"\nseed = 1', "key `id`: expected"),
    "an id with a space": (b'id = "kim lee"\nseed = 1', "key `id`: expected"),
    "an id that is a number": (b"id = 1\nseed = 1", "key `id`: expected"),
    "an id without end": (b'id = "' + b"k" * 65 + b'"\nseed = 1', "key `id`: expected"),
    "a seed that is true": (b'id = "kim"\nseed = true', "key `seed`"),
    "a seed that is a text": (b'id = "kim"\nseed = "7"', "key `seed`"),
    "a seed without end": (b'id = "kim"\nseed = 1' + b"0" * 99, "key `seed`"),
    "more digits than Python reads": (b'id = "kim"\nseed = 0x' + b"f" * 4000, "key `seed`"),
    "another key": (b'id = "kim"\nseed = 1\npoints = 10', "key `points`: there is no such key"),
    "brackets without end": (b"id = " + b"[" * 4000, "learner.toml is no TOML"),
    "too large": (b"#" * 5000, "learner.toml is larger than 4 KiB"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("where", ["kim", "kim.tar.gz"])
def test_a_broken_learner_toml_is_shown(course: Class, where: str, kind: str) -> None:
    data, expected = BROKEN[kind]
    files = handed_in("kim") | {"learner.toml": data}
    course.pack(where, files) if "." in where else course.lay(where, files)
    course.lay("lee", handed_in("lee"))
    roster = course.read()
    assert roster.learners == ("lee",)
    assert only(roster).source == where
    assert expected in only(roster).reason["en"]
    assert only(roster).learner is None


def test_a_missing_lab_has_no_entry(course: Class) -> None:
    course.lay("kim", handed_in("kim"))
    course.lay("lee", {"learner.toml": identity("lee")})
    roster = course.read()
    assert roster.learners == ("kim", "lee")
    assert [(entry.learner, entry.lab) for entry in roster.entries] == [("kim", FIRST)]
    assert not roster.unmapped


def test_handed_in_twice_and_equal_is_once(course: Class) -> None:
    course.lay("Kim_1/kim", handed_in("kim"))
    course.pack("Kim_1/kim.tar.gz", handed_in("kim"))
    course.pack("Kim_2/kim.zip", handed_in("kim", **{"notes.txt": b"other"}))
    roster = course.read()
    assert [entry.source for entry in roster.entries] == ["Kim_1/kim"]
    assert not roster.unmapped


def test_handed_in_twice_and_different_is_not_guessed(course: Class) -> None:
    course.lay("first", handed_in("kim", **{f"{SECOND}/back.yaml": b"x"}))
    course.pack("second.zip", handed_in("kim") | {DOCKERFILE: b"FROM other\n"})
    roster = course.read()
    assert [(entry.lab, entry.source) for entry in roster.entries] == [(SECOND, "first")]
    assert [(each.source, each.learner, each.labs) for each in roster.unmapped] == [
        ("first", "kim", (FIRST,)),
        ("second.zip", "kim", (FIRST,)),
    ]
    assert "second.zip" in roster.unmapped[0].reason["en"] and "first" in roster.unmapped[1].reason["ko"]


@pytest.mark.usefixtures("home")
def test_what_is_not_known_is_ungraded_and_no_zero(course: Class) -> None:
    """Nothing of it needs a machine."""
    course.lay("first", handed_in("kim"))
    course.pack("second.zip", handed_in("kim") | {DOCKERFILE: b"FROM other\n"})
    report = grade_class(course.folder, output=course.folder.parent / "results")
    row = report.row("kim", FIRST)
    assert (row.state, row.earned) == ("ungraded", None)
    assert row.reason is not None and "more than once" in row.reason["en"]


def cut_off(learner: str, *files: str) -> bytes:
    """A tar by hand, learner.toml first, that wasn't sent to its end: after `files` comes the beginning of another."""
    entries = [Member(f"{learner}/learner.toml", identity(learner))]
    entries += [Member(f"{learner}/{name}", ANSWER) for name in files]
    return tar([*entries, Member(f"{learner}/{SECOND}/front.yaml", b"x" * 4000)])[: 1024 * (1 + len(files)) + 300]


@pytest.mark.parametrize("files", [(), (DOCKERFILE,)], ids=["nothing but learner.toml", "one lab"])
def test_an_archive_that_ends_in_the_middle_may_hold_more(course: Class, files: tuple[str, ...]) -> None:
    course.lay("", {"kim.tar": cut_off("kim", *files)})
    roster = course.read()
    assert roster.learners == ("kim",)
    assert [(entry.lab, bool(entry.refused)) for entry in roster.entries] == [(FIRST, True)] * len(files)
    assert (only(roster).source, only(roster).learner, only(roster).rest) == ("kim.tar", "kim", True)
    assert "ends in the middle" in only(roster).reason["en"]


def test_an_archive_that_was_read_and_refused_holds_no_more(course: Class) -> None:
    course.pack("kim.tar.gz", handed_in("kim", **{"../../x": b""}))
    assert not course.read().unmapped


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("labs", [LABS, ()], ids=["named labs", "every lab that was handed in"])
def test_what_may_have_been_cut_off_is_ungraded_in_every_export(course: Class, labs: tuple[Lab, ...]) -> None:
    course.lay("", {"kim.tar": cut_off("kim")})
    output = course.folder.parent / "results"
    report = grade_class(course.folder, labs=labs, output=output)
    for lab in LABS:
        row = report.row("kim", lab.id)
        assert (row.state, row.earned, row.source) == ("ungraded", None, "kim.tar")
        assert row.reason is not None and "ends in the middle" in row.reason["en"]
    exports.write(report, output)
    (line,) = csv.DictReader((output / "grades.csv").read_text("utf-8-sig").splitlines())
    assert (line["points"], line["state"], line[f"{SECOND} state"]) == ("", "ungraded", "ungraded")
    found = json.loads((output / "class.json").read_text("utf-8"))
    assert {(each["state"], each["earned"]) for each in (*found["rows"], *found["learners"])} == {("ungraded", None)}
    suites = ElementTree.parse(output / "junit.xml").getroot()
    assert suites.get("failures") == "0" and suites.get("errors") == suites.get("tests") != "0"
    assert (output / "gradescope/kim/ungraded.json").exists() and not list(output.rglob("results.json"))


@pytest.mark.usefixtures("home")
def test_what_came_whole_elsewhere_is_not_cut_off(course: Class) -> None:
    """What is refused needs no machine either."""
    course.lay("", {"kim-1.tar": cut_off("kim")})
    course.lay("kim-2", handed_in("kim"))
    (course.folder / "kim-2" / DOCKERFILE).unlink()
    (course.folder / "kim-2" / DOCKERFILE).symlink_to("/etc/hostname")
    report = grade_class(course.folder, labs=LABS, output=course.folder.parent / "results")
    states = {lab.id: (report.row("kim", lab.id).state, report.row("kim", lab.id).source) for lab in LABS}
    assert states == {FIRST: ("graded", "kim-2"), SECOND: ("ungraded", "kim-1.tar")}
    assert [each.source for each in report.unmapped] == ["kim-1.tar"]


def test_nobody_else_loses_a_row_by_it(course: Class) -> None:
    """Neither the learner whom an archive in another's submission names, nor the labs of the others."""
    course.lay("kim", handed_in("kim"))
    course.lay("kim", {"lee.tar": cut_off("lee")})
    course.lay("lee", handed_in("lee"))
    course.lay("", {"park.tar": cut_off("park")})
    roster = course.read()
    assert [(entry.learner, entry.lab) for entry in roster.entries] == [("kim", FIRST), ("lee", FIRST)]
    assert [(each.source, each.rest) for each in roster.unmapped] == [("kim/lee.tar", False), ("park.tar", True)]
    _, chosen = plan_class(course.folder, (), course.store)
    assert [lab.id for lab in chosen] == [FIRST]


def test_a_store_inside_the_class_is_not_of_it(course: Class) -> None:
    course.store = course.folder / "results" / "unpacked"
    course.lay("kim", handed_in("kim"))
    course.store.parent.mkdir()
    (course.store.parent / "class.csv").touch()
    assert course.read() == course.read()
    assert not course.read().unmapped


def test_one_name_and_two_seeds_may_be_two_persons(course: Class) -> None:
    """Everybody who works as root is called root."""
    course.lay("a", handed_in("root", 1))
    course.lay("b", {"learner.toml": identity("root", 2), f"{SECOND}/back.yaml": b"x"})
    roster = course.read()
    assert not roster.entries
    assert roster.learners == ("root",)
    assert [(each.source, each.labs) for each in roster.unmapped] == [("a", (FIRST, SECOND)), ("b", (FIRST, SECOND))]
    assert "two persons" in roster.unmapped[0].reason["en"]


OWN = "ch1/inspect"


def with_own(learner: str, seed: int = 7) -> dict[str, bytes]:
    return handed_in(learner, seed, **{f"{OWN}/answers.toml": b'tag = "x"\n'})


def read_with_own(course: Class) -> Roster:
    return read_class(course.folder, (*LABS, catalog.lab(OWN)), course.store)


def test_two_names_and_one_seed_may_be_one_answer(course: Class) -> None:
    """A friend's seed and answers would get full points under one's own id."""
    course.lay("kim", with_own("kim"))
    course.pack("lee.zip", with_own("lee"), inside="lee")
    course.lay("park", with_own("park", 8))
    roster = read_with_own(course)
    assert [(entry.learner, entry.lab) for entry in roster.entries] == [
        ("kim", FIRST), ("lee", FIRST), ("park", OWN), ("park", FIRST),
    ]  # fmt: skip
    assert [(each.source, each.learner, each.labs) for each in roster.unmapped] == [
        ("kim", "kim", (OWN,)),
        ("lee.zip", "lee", (OWN,)),
    ]
    for each in roster.unmapped:
        assert all("kim" in text and "lee.zip" in text and OWN in text for text in each.reason.values())


@pytest.mark.usefixtures("home")
def test_whose_seed_it_is_not_known_is_ungraded(course: Class) -> None:
    for name in ("kim", "lee"):
        course.lay(name, {"learner.toml": identity(name), f"{OWN}/answers.toml": b'tag = "x"\n'})
    course.lay("park", {"learner.toml": identity("park")})
    report = grade_class(course.folder, labs=[catalog.lab(OWN)], output=course.folder.parent / "results")
    assert [(row.learner, row.state, row.earned) for row in report.rows] == [
        ("kim", "ungraded", None), ("lee", "ungraded", None), ("park", "not_submitted", 0),
    ]  # fmt: skip


def test_one_seed_handed_in_twice_is_one_learner(course: Class) -> None:
    course.lay("kim", with_own("kim"))
    course.pack("kim.zip", with_own("kim"))
    roster = read_with_own(course)
    assert [entry.lab for entry in roster.entries] == [OWN, FIRST] and not roster.unmapped


def test_a_refused_and_a_good_answer_are_two(course: Class) -> None:
    course.pack("a.zip", handed_in("kim", **{"../../x": b""}))
    course.lay("b", handed_in("kim"))
    roster = course.read()
    assert not roster.entries
    assert {each.source for each in roster.unmapped} == {"a.zip", "b"}


def test_a_submission_inside_another_is_nobodys(course: Class) -> None:
    """Else kim could answer for lee."""
    course.lay("kim", handed_in("kim"))
    course.lay("kim/more/lee", handed_in("lee"))
    course.pack("kim/park.zip", handed_in("park"))
    roster = course.read()
    assert roster.learners == ("kim",)
    assert [each.source for each in roster.unmapped] == ["kim/more/lee", "kim/park.zip"]
    assert all("(kim)" in each.reason["en"] for each in roster.unmapped)


def test_lab_packs_own_archive_in_the_workspace(course: Class) -> None:
    course.lay("kim", handed_in("kim"))
    course.pack("kim/kim.tar.gz", handed_in("kim"))
    roster = course.read()
    assert [entry.source for entry in roster.entries] == ["kim"]
    assert not roster.unmapped


def test_learner_toml_beside_the_archive(course: Class) -> None:
    course.lay("Kim_1", {"learner.toml": identity("kim")})
    course.pack("Kim_1/kim.tar.gz", handed_in("kim"))
    roster = course.read()
    assert [entry.source for entry in roster.entries] == ["Kim_1/kim.tar.gz"]
    assert not roster.unmapped


@pytest.mark.parametrize("where", ["Dockerfile", "multi-stage/Dockerfile", f"work/{DOCKERFILE}", DOCKERFILE.lower()])
def test_a_misplaced_answer_is_ungraded_not_missing(course: Class, where: str) -> None:
    course.lay("kim", {"learner.toml": identity("kim"), where: ANSWER})
    roster = course.read()
    assert not roster.entries
    assert (only(roster).learner, only(roster).labs) == ("kim", (FIRST,))
    assert where in only(roster).reason["en"]


def test_what_a_learner_kept_aside_is_no_answer(course: Class) -> None:
    course.lay("kim", handed_in("kim", **{f".kept/20260101-000000/{SECOND}/back.yaml": b"old"}))
    roster = course.read()
    assert [entry.lab for entry in roster.entries] == [FIRST]
    assert not roster.unmapped


def test_whatever_else_lies_around_is_shown(course: Class) -> None:
    course.lay("", {"grades.csv": b"", ".DS_Store": b"", "section/park.rar": b"Rar!", "section/lee/Dockerfile": ANSWER})
    course.lay("section/kim", handed_in("kim"))
    course.lay("", {"page.zip": b"<html>", "__MACOSX/._x": b"", ".git/config": b"", "section/kim/comments.txt": b""})
    (course.folder / "empty").mkdir()
    roster = course.read()
    assert roster.learners == ("kim",)
    assert [each.source for each in roster.unmapped] == [
        "empty", "grades.csv", "page.zip", "section/lee", "section/park.rar",
    ]  # fmt: skip
    assert all(each.learner is None for each in roster.unmapped)


def test_what_the_system_would_execute_stays_where_it_is(course: Class) -> None:
    planted = ["checks.py", "conftest.py", "lab.toml", "pytest.ini", "sitecustomize.py", "Makefile", "given/back.yaml"]
    files = {f"{FIRST}/{name}": b"raise SystemExit(1)\n" for name in planted}
    course.lay("kim", handed_in("kim", **files, **{"conftest.py": b"1/0\n", "pytest.ini": b"[pytest]\n"}))
    course.pack("lee.tar.gz", handed_in("lee", **files))
    roster = course.read()
    assert answers(roster) == {("kim", FIRST): {"Dockerfile": ANSWER}, ("lee", FIRST): {"Dockerfile": ANSWER}}


def test_the_store_holds_plain_files_and_a_second_run_finds_them(course: Class) -> None:
    course.pack("kim.tar.gz", handed_in("kim"))
    course.lay("lee", handed_in("lee"))
    (course.folder / "lee" / DOCKERFILE).chmod(0o4755)
    old = os.umask(0o077)
    try:
        first = course.read()
    finally:
        os.umask(old)
    files = [file for file in course.store.rglob("*") if file.is_file()]
    assert {file.stat().st_mode & 0o7777 for file in files} == {0o644}
    assert {file.name for file in files} == {"Dockerfile"}
    before = {file: file.stat().st_mtime_ns for file in files}
    assert course.read() == first
    assert {file: file.stat().st_mtime_ns for file in files} == before


def test_a_killed_run_is_done_again(course: Class) -> None:
    course.pack("kim.tar.gz", handed_in("kim"))
    place = course.read().entries[0].folder
    left = place.with_name(f"{place.name}.abc.new")
    place.rename(left)
    (left / "Dockerfile").write_bytes(ANSWER[:3])
    os.utime(left, (0, 0))
    assert answers(course.read()) == {("kim", FIRST): {"Dockerfile": ANSWER}}
    (place / "Dockerfile").write_bytes(b"changed since")
    (place / "more").write_bytes(b"")
    assert answers(course.read()) == {("kim", FIRST): {"Dockerfile": ANSWER}}
    assert list(course.store.iterdir()) == [place]


def test_several_read_the_same_class_at_once(course: Class) -> None:
    """As the workers of pytest-xdist do."""
    for number in range(10):
        course.lay(str(number), handed_in(f"learner{number}"))
    with ThreadPoolExecutor(8) as pool:
        rosters = list(pool.map(lambda _: course.read(), range(16)))
    assert all(roster == rosters[0] for roster in rosters)
    assert len(answers(rosters[0])) == 10
    assert not list(course.store.glob("*.new"))


def test_no_folder_of_a_class(course: Class) -> None:
    with pytest.raises(UsageError):
        read_class(course.folder / "nowhere", LABS, course.store)
    roster = course.read()
    assert (roster.learners, roster.entries, roster.unmapped) == ((), (), ())
    assert not course.store.exists()


def test_a_large_class_takes_seconds(course: Class) -> None:
    for number in range(200):
        course.pack(f"{number}.tar.gz", handed_in(f"learner{number}"))
    began = time.process_time()
    roster = course.read()
    assert time.process_time() - began < 2
    assert len(roster.entries) == 200 and not roster.unmapped


# What a folder may hold that harms


def lay_link(kim: Path) -> None:
    (kim / DOCKERFILE).unlink()
    (kim / DOCKERFILE).symlink_to("/etc/hostname")


def lay_linked_folder(kim: Path) -> None:
    (kim / FIRST).rename(kim.parent.parent / "elsewhere")
    (kim / FIRST).symlink_to(kim.parent.parent / "elsewhere")


def lay_pipe(kim: Path) -> None:
    (kim / DOCKERFILE).unlink()
    os.mkfifo(kim / DOCKERFILE)


def lay_socket(kim: Path) -> None:
    (kim / DOCKERFILE).unlink()
    here = Path.cwd()
    os.chdir(kim / FIRST)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("Dockerfile")
    finally:
        os.chdir(here)


def lay_large(kim: Path) -> None:
    os.truncate(kim / DOCKERFILE, 2 << 30)


def lay_many(kim: Path) -> None:
    (kim / "many").mkdir()
    for number in range(200):
        (kim / "many" / str(number)).touch()


def lay_deep(kim: Path) -> None:
    (kim / "/".join("d" * 100)).mkdir(parents=True)


FOLDERS = {
    "link": (lay_link, f"{DOCKERFILE} is a link"),
    "linked folder": (lay_linked_folder, f"{DOCKERFILE} is a link"),
    "pipe": (lay_pipe, f"{DOCKERFILE} is neither"),
    "socket": (lay_socket, f"{DOCKERFILE} is neither"),
    "2 GB": (lay_large, f"{DOCKERFILE} is larger than 1 MiB"),
    "many": (lay_many, "more than 100 names"),
    "deep": (lay_deep, "folders deep"),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_hostile_folder_is_no_answer(course: Class, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MEMBERS", 100)
    make, expected = FOLDERS[kind]
    course.lay("kim", handed_in("kim"))
    course.lay("lee", handed_in("lee"))
    make(course.folder / "kim")
    before = sorted(course.folder.rglob("*"))

    began = time.process_time()
    roster = course.read()
    assert time.process_time() - began < 1.0

    assert sorted(course.folder.rglob("*")) == before
    kim, lee = roster.entries
    assert kim.refused is not None and expected in kim.refused["en"]
    assert not list(kim.folder.iterdir())
    assert lee.refused is None
    assert not roster.unmapped


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_learner_toml_that_is_no_file(course: Class, kind: str) -> None:
    course.lay("kim", handed_in("kim"))
    file = course.folder / "kim" / "learner.toml"
    file.unlink()
    if kind == "link":
        (course.folder.parent / "other.toml").write_bytes(identity("lee"))
        file.symlink_to(course.folder.parent / "other.toml")
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.mkdir()
    roster = course.read()
    assert not roster.entries and not roster.learners
    assert only(roster).source == "kim"


def test_links_and_pipes_in_the_class_folder_are_shown(course: Class) -> None:
    course.lay("../outside", handed_in("lee"))
    course.pack("../outside.zip", handed_in("lee"))
    (course.folder / "a").symlink_to(course.folder.parent / "outside")
    (course.folder / "b.zip").symlink_to(course.folder.parent / "outside.zip")
    (course.folder / "loop").symlink_to(course.folder)
    os.mkfifo(course.folder / "c.tar.gz")
    roster = course.read()
    assert not roster.entries
    assert [each.source for each in roster.unmapped] == ["a", "b.zip", "c.tar.gz", "loop"]


def test_one_folder_full_of_names_costs_the_others_nothing(course: Class, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MEMBERS", 100)
    for number in range(300):
        (course.folder / "a" / str(number)).mkdir(parents=True)
    (course.folder / "b" / "/".join("d" * 100)).mkdir(parents=True)
    course.lay("kim", handed_in("kim"))
    roster = course.read()
    assert [entry.learner for entry in roster.entries] == ["kim"]
    assert [each.source for each in roster.unmapped] == ["a", "b"]
    assert "more than 100 names" in roster.unmapped[0].reason["en"]
    assert "folders deep" in roster.unmapped[1].reason["en"]


def test_a_file_that_cannot_be_read_is_no_missing_answer(course: Class, monkeypatch: pytest.MonkeyPatch) -> None:
    course.lay("kim", handed_in("kim"))
    course.pack("lee.zip", handed_in("lee"))
    real = os.open

    def failing(path: object, *arguments: object, **named: object) -> int:
        if str(path).endswith(("Dockerfile", "lee.zip")):
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", failing)
    roster = course.read()
    assert not roster.entries
    kim, lee = roster.unmapped
    assert (kim.learner, kim.labs, lee.learner) == ("kim", (FIRST,), None)
    assert "Permission denied" in kim.reason["en"] and "Permission denied" in lee.reason["ko"]


@pytest.mark.parametrize(
    "name", [b"\xff\xfe", "김".encode("cp949"), b"a\x1b[2J\nb", "\u202egpj.exe".encode()], ids=repr
)
def test_any_name_can_be_shown(course: Class, name: bytes) -> None:
    course.lay(os.fsdecode(name), handed_in("kim"))
    roster = course.read()
    assert [entry.learner for entry in roster.entries] == ["kim"]
    json.dumps(roster.entries[0].source, ensure_ascii=False).encode()
    assert roster.entries[0].source.isprintable()


#: In NFC, where a letter may have become one with a mark, which no id has.
IDS = (
    st.from_regex(r"\w[\w.@+-]{0,20}", fullmatch=True)
    .map(lambda each: unicodedata.normalize("NFC", each))
    .filter(ID.fullmatch)
)
CONTENT = st.binary(max_size=200)
SUBMISSION = st.dictionaries(
    st.sampled_from([DOCKERFILE, f"{SECOND}/back.yaml", f"{SECOND}/front.yaml"]), CONTENT, max_size=3
)
PLACES = st.sampled_from(["{n}", "{n} submission/x", "{n}.tar.gz", "deep/er/{n}.zip", "{n}_late/k.tgz"])


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(IDS.map(lambda each: unicodedata.normalize("NFC", each)), st.tuples(PLACES, SUBMISSION), max_size=4)
)
def test_what_was_handed_in_comes_out(
    tmp_path_factory: pytest.TempPathFactory, handed: dict[str, tuple[str, dict[str, bytes]]]
) -> None:
    base = tmp_path_factory.mktemp("any")
    course = Class(base)
    expected: dict[tuple[str, str], dict[str, bytes]] = {}
    for number, (learner, (place, files)) in enumerate(handed.items()):
        where = place.format(n=number)
        lay = course.pack if where.endswith(("gz", "zip")) else course.lay
        lay(where, {"learner.toml": identity(learner), **files})
        for name, data in files.items():
            lab, _, deliverable = name.rpartition("/")
            expected.setdefault((learner, lab), {})[deliverable] = data
    roster = course.read()
    assert answers(roster) == expected
    assert set(roster.learners) == set(handed)
    assert not roster.unmapped
    shutil.rmtree(base)
