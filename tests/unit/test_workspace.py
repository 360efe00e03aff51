"""The learner's files: laid once, never overwritten, kept when replaced, packed to equal bytes."""

from __future__ import annotations

import os
import shutil
import tarfile
import time
import unicodedata
import zipfile
from pathlib import Path

import pytest

from hello_k8s import cli, language, paths, workspace
from hello_k8s.catalog import Lab
from hello_k8s.errors import CatalogError, HelloError, UsageError
from hello_k8s.grading.verdict import CheckResult, Result
from hello_k8s.workspace import identity
from hello_k8s.workspace.packing import archived, pack


def result(lab: Lab, *failed: str, verdict: str = "failed") -> Result:
    checks = tuple(
        CheckResult(check.id, check.question, check.points, verdict if check.id in failed else "passed")  # type: ignore[arg-type]
        for check in lab.checks
    )
    return Result(lab.id, "workspace", "replay", "2026-01-01T00:00:00Z", checks)


@pytest.fixture
def folder(small: Lab) -> Path:
    workspace.start(small)
    return workspace.folder_of(small)


def test_start_lays_every_file(small: Lab) -> None:
    laid = workspace.start(small)
    assert laid.written == ("Dockerfile", "README.md", "given.txt", "sub/notes.txt")
    assert (laid.folder / "README.md").read_text() == (small.folder / "README.en.md").read_text()
    assert (laid.folder / "sub" / "notes.txt").read_text() == "begin\n"
    assert not laid.left


def test_start_again_leaves_what_is_there_and_brings_back_what_is_gone(small: Lab, folder: Path) -> None:
    (folder / "Dockerfile").write_text("mine\n")
    (folder / "given.txt").unlink()
    laid = workspace.start(small)
    assert laid.written == ("given.txt",)
    assert (folder / "Dockerfile").read_text() == "mine\n"


@pytest.mark.parametrize("kind", ["broken", "empty"])
def test_broken_and_empty_never_replace_a_started_answer(small: Lab, folder: Path, kind: str) -> None:
    (folder / "Dockerfile").write_text("mine\n")
    with pytest.raises(UsageError) as refused:
        workspace.start(small, **{kind: True})
    assert f"lab reset ch1/small --{kind}" in refused.value.next
    assert (folder / "Dockerfile").read_text() == "mine\n"


def test_broken_plants_one_mutant_after_another(small: Lab) -> None:
    seen = set()
    for _ in small.mutants:
        workspace.reset(small, broken=True)
        folder = workspace.folder_of(small)
        seen.add(((folder / "Dockerfile").read_text(), (folder / "sub" / "notes.txt").read_text()))
    assert seen == {("FROM scratch\nUSER root\n", "solved\n"), ("FROM scratch\nUSER 65534\n", "wrong\n")}


def test_empty_leaves_the_deliverables_empty(small: Lab) -> None:
    folder = workspace.start(small, empty=True).folder
    assert (folder / "Dockerfile").read_text() == "" == (folder / "sub" / "notes.txt").read_text()
    assert (folder / "given.txt").read_text() == "given\n"


def test_reset_keeps_a_copy_of_what_it_replaces_and_nothing_else(small: Lab, folder: Path) -> None:
    (folder / "Dockerfile").write_text("mine\n")
    (folder / "own.txt").write_text("my own\n")
    laid = workspace.reset(small)
    assert laid.kept_in is not None and laid.kept_in.is_relative_to(paths.workspace() / ".kept")
    assert [file.name for file in laid.kept_in.rglob("*")] == ["Dockerfile"]
    assert (laid.kept_in / "Dockerfile").read_text() == "mine\n"
    assert (folder / "Dockerfile").read_text() == "FROM scratch\n"
    assert (folder / "own.txt").read_text() == "my own\n"
    assert str(laid.kept_in) in laid.lines()[0]


def test_reset_of_unchanged_files_keeps_nothing(small: Lab, folder: Path) -> None:
    assert workspace.reset(small).kept_in is None


def test_two_resets_in_one_second_keep_both(small: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda *_: "20260101-000000")
    kept = []
    for text in ("one", "two"):
        (folder / "Dockerfile").write_text(text)
        kept.append(workspace.reset(small).kept_in)
    assert [(place / "Dockerfile").read_text() for place in kept if place] == ["one", "two"]


def test_a_folder_or_a_link_in_the_place_of_a_file_is_kept_too(small: Lab, folder: Path) -> None:
    (folder / "Dockerfile").unlink()
    (folder / "Dockerfile").mkdir()
    (folder / "Dockerfile" / "inside").write_text("x")
    (folder / "given.txt").unlink()
    outside = folder.parent / "outside"
    outside.write_text("outside\n")
    (folder / "given.txt").symlink_to(outside)
    kept = workspace.reset(small).kept_in
    assert kept and (kept / "Dockerfile" / "inside").read_text() == "x"
    assert (kept / "given.txt").is_symlink()
    assert outside.read_text() == "outside\n", "a reset never writes through a link"
    assert (folder / "given.txt").read_text() == "given\n"


@pytest.mark.parametrize("what", ["a link", "a file"])
def test_what_is_in_the_place_of_a_folder_is_kept_and_never_written_through(
    small: Lab, folder: Path, home: Path, what: str
) -> None:
    (folder / "sub").rename(home / "elsewhere" / "notes")
    (home / "elsewhere" / "notes" / "notes.txt").write_text("outside\n")
    if what == "a link":
        (folder / "sub").symlink_to(home / "elsewhere" / "notes")
    else:
        (folder / "sub").write_text("mine\n")
    kept = workspace.reset(small).kept_in
    assert kept and [file.name for file in kept.iterdir()] == ["sub"]
    assert (kept / "sub").is_symlink() if what == "a link" else (kept / "sub").read_text() == "mine\n"
    assert (home / "elsewhere" / "notes" / "notes.txt").read_text() == "outside\n"
    assert (folder / "sub" / "notes.txt").is_file() and not (folder / "sub").is_symlink()


def test_a_missing_deliverable_is_named_with_the_way_back(small: Lab, folder: Path) -> None:
    (folder / "sub" / "notes.txt").unlink()
    with pytest.raises(HelloError) as missing:
        workspace.check(small)
    assert "sub/notes.txt" in missing.value.what and "Dockerfile" not in missing.value.what
    assert "lab start ch1/small" in missing.value.next


@pytest.mark.parametrize("name", ["Dockerfile", "sub/notes.txt", "nowhere"])
def test_a_link_is_no_answer_at_home_as_in_class(small: Lab, folder: Path, name: str) -> None:
    """The class takes no links: `lab check` and `lab pack` say so, instead of "not submitted" and full points."""
    if name == "sub/notes.txt":  # its folder is the link
        (folder / "sub").rename(folder / "mine")
        (folder / "sub").symlink_to("mine")
    else:
        (folder / "Dockerfile").rename(folder / "mine")
        (folder / "Dockerfile").symlink_to("mine" if name == "Dockerfile" else name)
    for refusing in (lambda: workspace.check(small), pack):
        with pytest.raises(HelloError) as refused:
            refusing()
        assert name.replace("nowhere", "Dockerfile") in refused.value.what and "link" in refused.value.what
        assert "the file itself" in refused.value.next
    assert (folder / "mine").exists() and not list(paths.workspace().glob("*.tar.gz"))


def test_a_linked_folder_of_the_lab_is_the_learners_choice(
    small: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr("hello_k8s.grading.grade", lambda lab, *_, **__: result(lab), raising=False)
    folder.rename(home / "elsewhere" / "small")
    folder.symlink_to(home / "elsewhere" / "small")
    assert workspace.check(small).passed
    assert pack().contents == (("ch1/small", ("Dockerfile", "sub/notes.txt"), ()),)


def test_a_check_is_remembered(small: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def grade(lab: Lab, where: Path, *, mode: str, kind: str, progress: object) -> Result:
        seen.update(where=where, mode=mode, kind=kind)
        return result(lab, "second")

    monkeypatch.setattr("hello_k8s.grading.grade", grade, raising=False)
    workspace.check(small, as_submitted=True)
    assert seen == {"where": folder, "mode": "replay", "kind": "workspace"}
    assert workspace.standing(small) == "2/5"
    monkeypatch.setattr("hello_k8s.grading.grade", lambda lab, *_, **__: result(lab), raising=False)
    workspace.check(small)
    assert workspace.standing(small) == "✓ 5/5" and workspace.finished(small)


def test_hints_go_on_level_by_level_and_begin_again_after_a_reset(small: Lab, folder: Path) -> None:
    given = [workspace.hint(small) for _ in range(3)]
    assert [(hint.check.id, hint.level) for hint in given] == [("first", 1), ("first", 2), ("first", 2)]
    assert given[0].text == "Where to look" and given[0].of == 2
    workspace.reset(small)
    assert workspace.hint(small).level == 1


def test_the_hint_is_for_the_check_that_failed_last(small: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hello_k8s.grading.grade", lambda lab, *_, **__: result(lab, "second"), raising=False)
    workspace.check(small)
    assert workspace.hint(small).check.id == "second"
    assert workspace.hint(small, "first").check.id == "first"
    with pytest.raises(UsageError, match="third"):
        workspace.hint(small, "third")


def test_the_solution_goes_beside_and_never_over(small: Lab, folder: Path) -> None:
    first, second = workspace.copy_solution(small), workspace.copy_solution(small)
    assert first.parent == folder.parent and first != second
    assert (second / "Dockerfile").read_text() == "FROM scratch\nUSER 65534\n"
    assert (folder / "Dockerfile").read_text() == "FROM scratch\n"


def test_which_lab_follows_the_current_folder_then_the_last_use(
    small: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert workspace.which(None).id == "ch1/small"
    monkeypatch.chdir(folder / "sub")
    assert workspace.which(None).id == "ch1/small"
    assert workspace.which("ch1/small").id == "ch1/small"


def test_without_any_use_there_is_no_lab_to_guess(small: Lab) -> None:
    with pytest.raises(UsageError):
        workspace.which(None)


# -- learner.toml


def test_learner_toml_is_written_once(home: Path) -> None:
    first = identity.introduce("jo")
    assert identity.introduce("somebody else") == first
    assert identity.learner() == first and first.id == "jo"


@pytest.mark.parametrize("name", ["../up", "", "a/b", ".hidden", "x" * 65, "two words", "\ufb2a"])
def test_a_name_that_cannot_name_a_file_is_refused(home: Path, name: str) -> None:
    with pytest.raises(UsageError):
        identity.introduce(name)
    assert not identity.learner_file().exists()


def test_a_korean_name_is_fine(home: Path) -> None:
    assert identity.introduce(unicodedata.normalize("NFD", "홍길동")).id == "홍길동"


@pytest.mark.parametrize(
    ("text", "key"),
    [('id = "\ufb2a"\nseed = 1\n', "id"),
     ('id = "x"\n', "seed"), ('id = "x"\nseed = "1"\n', "seed"), ('id = "../x"\nseed = 1\n', "id"),
     ('id = "x"\nseed = 1\nname = "y"\n', "name")],
)  # fmt: skip
def test_a_changed_learner_toml_is_named_with_its_key(home: Path, text: str, key: str) -> None:
    identity.learner_file().parent.mkdir(parents=True)
    identity.learner_file().write_text(text)
    with pytest.raises(CatalogError) as wrong:
        identity.learner()
    assert "learner.toml" in wrong.value.what and f"`{key}`" in wrong.value.what and wrong.value.why


def test_the_default_name_can_always_name_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "DOMAIN\\some one")
    assert identity.ID.fullmatch(identity.default_id())

    def nobody() -> str:
        raise KeyError("uid")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert identity.default_id() == "learner"


# -- pack


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_equal_files_pack_to_equal_bytes(small: Lab, folder: Path, home: Path, name: str) -> None:
    identity.introduce("jo")
    first = pack(output=home / name).file.read_bytes()
    os.utime(folder / "Dockerfile", (1, 1))
    (folder / "Dockerfile").chmod(0o600)
    (folder / "unrelated.txt").write_text("not handed in")
    assert pack(output=home / name).file.read_bytes() == first


def test_a_pack_holds_the_deliverables_and_learner_toml(small: Lab, folder: Path, home: Path) -> None:
    who = identity.learner()
    packed = pack()
    assert packed.file == paths.workspace() / f"{who.id}.tar.gz"
    assert packed.contents == (("ch1/small", ("Dockerfile", "sub/notes.txt"), ()),)
    with tarfile.open(packed.file) as archive:
        names = archive.getnames()
    base = who.id
    assert names == [f"{base}/ch1/small/Dockerfile", f"{base}/ch1/small/sub/notes.txt", f"{base}/learner.toml"]
    with zipfile.ZipFile(pack(output=home / "x.zip").file) as zipped:
        assert sorted(zipped.namelist()) == names


def test_a_pack_says_what_is_missing(small: Lab, folder: Path) -> None:
    (folder / "Dockerfile").unlink()
    assert pack().contents == (("ch1/small", ("sub/notes.txt",), ("Dockerfile",)),)


def test_nothing_started_nothing_packed(small: Lab) -> None:
    with pytest.raises(UsageError):
        pack()
    with pytest.raises(UsageError):
        pack([small])
    assert not list(paths.workspace().glob("*.tar.gz"))


def test_a_pack_without_an_answer_leaves_the_earlier_one(small: Lab, folder: Path) -> None:
    before = pack().file.read_bytes()
    for name in small.deliverables:
        (folder / name).unlink()
    with pytest.raises(UsageError):
        pack()
    assert (paths.workspace() / f"{identity.learner().id}.tar.gz").read_bytes() == before


def test_a_pack_never_replaces_another_file(small: Lab, folder: Path, home: Path) -> None:
    thesis = home / "thesis.zip"
    thesis.write_text("not an archive")
    with pytest.raises(UsageError):
        pack(output=thesis)
    with pytest.raises(UsageError):
        pack(output=home / "thesis.txt")
    assert thesis.read_text() == "not an archive"


def test_a_link_out_of_the_workspace_is_not_packed(small: Lab, folder: Path, home: Path) -> None:
    (home / "secret").write_text("secret")
    (folder / "Dockerfile").unlink()
    (folder / "Dockerfile").symlink_to(home / "secret")
    with pytest.raises(HelloError, match="Dockerfile"):
        pack()


def _foreign(file: Path, names: list[str]) -> bytes:
    """Some other archive at `file`."""
    file.write_bytes(archived({name: b"x" for name in names}, file.name))
    return file.read_bytes()


@pytest.mark.parametrize("name", ["thesis.zip", "thesis.tar.gz"])
@pytest.mark.parametrize(
    "names",
    [["thesis/main.tex"], ["jo/learner.toml", "jo/ch1/small/Dockerfile", "jo/notes.txt"], [],
     ["jo/ch1/small/Dockerfile"], ["kim/learner.toml", "kim/ch1/small/Dockerfile"]],
    ids=["another archive", "with more in it", "empty", "without learner.toml", "another learner's"],
)  # fmt: skip
def test_a_pack_never_replaces_another_archive(
    small: Lab, folder: Path, home: Path, name: str, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / name
    before = _foreign(file, names)
    identity.learner_file().write_text('id = "jo"\nseed = 1\n')
    assert cli.run(["lab", "pack", "-o", str(file)]) == 2
    assert "--output" in capsys.readouterr().err and file.read_bytes() == before


@pytest.mark.parametrize("name", ["mine.zip", "mine.tar.gz"])
def test_an_archive_cut_off_or_a_folder_is_left_alone(small: Lab, folder: Path, home: Path, name: str) -> None:
    file = pack(output=home / name).file
    file.write_bytes(file.read_bytes()[:-30])
    (home / f"folder-{name}").mkdir()
    for there in (file, home / f"folder-{name}"):
        with pytest.raises(UsageError):
            pack(output=there)
    file.unlink()
    assert pack(output=file).file.exists() and pack(output=file).file.exists(), "one's own is made anew"


def test_a_file_that_is_too_large_is_not_packed(small: Lab, folder: Path) -> None:
    (folder / "Dockerfile").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(HelloError, match="1024 KiB"):
        pack()


def test_a_start_that_is_cut_off_leaves_no_half_file(small: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(source: Path, target: Path) -> None:
        target.write_text(source.read_text()[:3])
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copy", half)
        with pytest.raises(KeyboardInterrupt):
            workspace.start(small)
    folder = workspace.folder_of(small)
    assert not [file for file in folder.rglob("*") if file.is_file()]
    assert workspace.start(small).left == ()
    assert (folder / "Dockerfile").read_text() == "FROM scratch\n"


def test_a_program_stays_one(small: Lab) -> None:
    (small.start / "run.sh").write_text("#!/bin/sh\n")
    (small.start / "run.sh").chmod(0o755)
    assert "run.sh" in workspace.start(small).written
    assert (workspace.folder_of(small) / "run.sh").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("tongue", language.LANGUAGES)
@pytest.mark.parametrize("begin", [workspace.start, workspace.reset])
def test_an_id_that_nobody_was_asked_for_is_shown_once(small: Lab, tongue: str, begin: object) -> None:
    language.use(tongue)
    assert callable(begin)
    said = [line for line in begin(small).lines() if f"`{identity.default_id()}`" in line]
    assert len(said) == 1 and "learner.toml" in said[0]
    assert not any("learner.toml" in line for line in workspace.start(small).lines())


def test_an_id_of_ones_own_is_not_news(small: Lab) -> None:
    identity.introduce("kim")
    assert not any("learner.toml" in line for line in workspace.start(small).lines())
