"""What an instructor takes away: whole files, safe names, sums in which only what is graded counts."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hello_k8s import files
from hello_k8s.classroom import exports
from hello_k8s.classroom.exports.names import file_names
from hello_k8s.classroom.exports.table import Table
from hello_k8s.classroom.model import ClassReport
from hello_k8s.errors import UsageError
from hello_k8s.grading.encodable import encodable
from tests import sample_class
from tests.sample_class import row

DOCKER, SERVICE = sample_class.two_labs()


def small() -> ClassReport:
    """All right, half right, not submitted, and one ungraded lab of two."""
    rows = [row("all", DOCKER), row("all", SERVICE)]
    rows += [row("half", DOCKER, fails=["small", "no_compiler"]), row("half", SERVICE)]
    rows += [row("absent", DOCKER, "not_submitted"), row("absent", SERVICE, "not_submitted")]
    rows += [row("ours", DOCKER), row("ours", SERVICE, "ungraded")]
    return sample_class.report(rows, [DOCKER, SERVICE])


def test_every_format_writes_its_files(tmp_path: Path) -> None:
    written = exports.write(small(), tmp_path / "made" / "here")
    assert len(written) == len(set(written)) == 4 + 4
    assert sorted(written) == sorted(file for file in tmp_path.rglob("*") if file.is_file())
    assert exports.write(small(), tmp_path, ["csv", "csv"]) == [tmp_path / "grades.csv"]


def test_an_empty_class_can_be_written(tmp_path: Path) -> None:
    exports.write(sample_class.report([], []), tmp_path)
    exports.write(sample_class.report([], [DOCKER]), tmp_path)


def test_an_unknown_format_writes_nothing(tmp_path: Path, home: Path) -> None:
    with pytest.raises(UsageError, match="xlsx") as caught:
        exports.write(small(), tmp_path / "new", ["csv", "xlsx"])
    assert "gradescope" in caught.value.next
    assert not (tmp_path / "new").exists()


# -- sums


def test_ungraded_is_in_no_sum_and_not_submitted_is_a_zero() -> None:
    totals = {total.learner: (total.state, total.earned) for total in Table(small()).totals()}
    points = DOCKER.points + SERVICE.points
    assert totals == {
        "all": ("graded", points),
        "half": ("graded", points - 5),
        "absent": ("not_submitted", 0),
        "ours": ("ungraded", None),
    }
    overall, docker, service = Table(small()).spreads()
    assert (overall.counted, overall.ungraded, overall.not_submitted) == (3, 1, 1)
    assert overall.mean == pytest.approx(100 * (2 * points - 5) / (3 * points))
    assert overall.median == pytest.approx(100 * (points - 5) / points)
    assert sum(overall.bins) == 3 and overall.bins[0] == overall.bins[-1] == 1
    # whose Docker lab is graded counts there, though their sum doesn't yet
    assert (docker.counted, docker.ungraded, docker.not_submitted) == (4, 0, 1)
    assert (service.counted, service.ungraded, service.not_submitted) == (3, 1, 1)
    assert service.mean == pytest.approx(100 * 2 / 3)


def test_nobody_graded_has_no_average() -> None:
    report = sample_class.report([row("ours", DOCKER, "ungraded")], [DOCKER])
    for spread in Table(report).spreads():
        assert (spread.counted, spread.mean, spread.median, sum(spread.bins)) == (0, None, None, 0)
    assert not Table(report).hardest()


def test_hardest_checks_count_those_who_were_graded() -> None:
    hardest = {(hard.lab, hard.check): hard for hard in Table(small()).hardest()}
    assert set(hardest) == {(DOCKER.id, "small"), (DOCKER.id, "no_compiler")}, "the errored check isn't among them"
    found = hardest[DOCKER.id, "small"]
    assert (found.passed, found.tried, found.seen) == (2, 3, 1)
    assert found.cause and "912.4 MB" in found.cause["en"]


def test_a_row_without_a_result_has_its_checks_all_the_same() -> None:
    why = {"ko": "압축 파일을 거절했습니다.", "en": "The archive was refused."}
    rows = [row(name, DOCKER, state, result=None, reason=why) for name, state in
            (("refused", "graded"), ("absent", "not_submitted"), ("ours", "ungraded"))]  # fmt: skip
    table = Table(sample_class.report(rows, [DOCKER]))
    for found, verdict in zip(rows, ("failed", "not_submitted", "errored"), strict=True):
        outcomes = table.outcomes(found)
        assert [check.id for check in outcomes] == [check.id for check in DOCKER.checks]
        assert {check.verdict for check in outcomes} == {verdict}
        assert {check.message["en"] for check in outcomes} == {"The archive was refused."}


# -- names


def test_names_that_would_lead_elsewhere(tmp_path: Path) -> None:
    hostile = ["../../etc/passwd", "..", ".", "", "/abs", "a/b", "a\\b", "-o", "CON", "nul.txt", "x\0y", "tab\there"]
    hostile += ["김민준", unicodedata.normalize("NFD", "김민준"), "이서연", "Kim", "kim", "a" * 300, "가" * 300, "<b>"]
    hostile += ["name.", "\ud800"]
    names = file_names(hostile)
    assert len({name.casefold() for name in names.values()}) == len(hostile)
    for name in names.values():
        assert files.write(tmp_path / name / "results.json", b"").resolve().parents[1] == tmp_path.resolve()
        assert name[0] not in ".-" and len(name.encode()) <= 200
    assert names["이서연"] == "이서연"
    for twin in ("김민준", "kim", "Kim"):
        assert names[twin] != twin, "on some systems it and another would be one file"


@given(st.lists(st.text(max_size=90), unique=True, max_size=8))
def test_file_names_are_different_and_don_t_depend_on_the_order(learners: list[str]) -> None:
    names = file_names(learners)
    assert len({name.casefold() for name in names.values()}) == len(learners)
    assert file_names(reversed(learners)) == names
    assert all("/" not in name and "\0" not in name and name not in ("", ".", "..") for name in names.values())


@given(st.text(st.characters(exclude_categories=[]), max_size=20))
def test_encodable_text_is_utf_8_and_otherwise_the_same(text: str) -> None:
    stored = encodable(text)
    assert stored.encode().decode() == stored
    assert stored == text or any("\ud800" <= letter <= "\udfff" for letter in text)
