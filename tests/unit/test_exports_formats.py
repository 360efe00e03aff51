"""CSV, JSON, JUnit XML and Gradescope: read back by each format's own parser, whatever anybody wrote."""

from __future__ import annotations

import csv
import io
import json
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from referencing import Registry, Resource

from hello_k8s.classroom import exports
from hello_k8s.classroom.exports.as_csv import harmless
from hello_k8s.classroom.exports.as_json import SCHEMA_FILE
from hello_k8s.classroom.exports.as_junit import legal
from hello_k8s.classroom.model import ClassReport, Row
from hello_k8s.grading import verdict
from hello_k8s.grading.encodable import encodable
from hello_k8s.grading.verdict import Result
from hello_k8s.language import LANGUAGES
from tests import sample_class
from tests.sample_class import row

DOCKER, SERVICE = sample_class.two_labs()
#: Everything that Python takes for text, half characters too.
ANY = st.text(st.characters(exclude_categories=[]), max_size=30)
TEXTS = st.fixed_dictionaries(dict.fromkeys(LANGUAGES, ANY))


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """A row of one lab in which everything that somebody else wrote is anything."""
    state = draw(st.sampled_from(["graded", "not_submitted", "ungraded"]))
    made = row(draw(ANY), DOCKER, state, ["answers"], source=draw(ANY), reason=draw(st.none() | TEXTS))
    if draw(st.integers(0, 4)) == 0:
        return replace(made, result=None)
    result = made.result
    assert result
    checks = [
        replace(
            check,
            message=draw(TEXTS),
            diagnosis=tuple(draw(st.lists(TEXTS, max_size=2))),
            evidence=tuple(draw(st.lists(ANY, max_size=2))),
            output=draw(ANY),
        )
        for check in result.checks
    ]
    return replace(made, result=replace(result, checks=tuple(checks), rewrites=tuple(draw(st.lists(ANY, max_size=2)))))


CLASSES = st.lists(rows(), max_size=3, unique_by=lambda row: row.learner).map(
    lambda rows: sample_class.report(rows, [DOCKER])
)
anything = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def small() -> ClassReport:
    """All right, not submitted, and an ungraded one of which some checks had passed and one had failed."""
    found = row("ours", SERVICE, "ungraded")
    assert found.result
    first, second, *others = found.result.checks
    failed = replace(second, verdict="failed")
    found = replace(found, result=replace(found.result, checks=(first, failed, *others)))
    made = [row("all", DOCKER), row("all", SERVICE, fails=["port"]), row("absent", DOCKER, "not_submitted")]
    made += [row("absent", SERVICE, "not_submitted"), row("ours", DOCKER), found]
    return sample_class.report(made, [DOCKER, SERVICE])


def written(report: ClassReport, name: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        made = exports.write(report, Path(folder), [name])
        return {file.relative_to(folder).as_posix(): file.read_bytes() for file in made}


def one(report: ClassReport, name: str) -> bytes:
    (content,) = written(report, name).values()
    return content


# -- CSV


def lines(report: ClassReport) -> list[dict[str, str]]:
    content = one(report, "csv")
    assert content.startswith(b"\xef\xbb\xbf"), "without the mark Excel doesn't read Hangul"
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_csv_says_ungraded_by_an_empty_cell_and_a_word() -> None:
    everyone, absent, ours = lines(small())
    assert (everyone["points"], everyone["state"]) == (str(DOCKER.points + SERVICE.points - 2), "graded")
    assert (everyone[f"{SERVICE.id} port"], everyone[f"{SERVICE.id} port state"]) == ("0", "failed")
    assert (absent["points"], absent["state"]) == ("0", "not_submitted")
    assert (absent[f"{DOCKER.id} small"], absent[f"{DOCKER.id} small state"]) == ("0", "not_submitted")
    assert (ours["points"], ours["state"]) == ("", "ungraded")
    assert (ours[DOCKER.id], ours[f"{DOCKER.id} state"]) == (str(DOCKER.points), "graded")
    of_service = {name: cell for name, cell in ours.items() if name.startswith(SERVICE.id)}
    assert len(of_service) == 2 + 2 * len(SERVICE.checks)
    assert set(of_service.values()) == {"", "ungraded"}, "no check of an ungraded lab has a number"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "'"])
def test_csv_holds_no_formula(start: str) -> None:
    name = f'{start}HYPERLINK("http://127.0.0.1/","x")'
    (line,) = lines(sample_class.report([row(name, DOCKER)], [DOCKER]))
    assert line["learner"] == f"'{name}"


@anything
@given(CLASSES)
def test_csv_gives_back_every_name(report: ClassReport) -> None:
    found = lines(report)
    assert [line["learner"] for line in found] == [harmless(row.learner) for row in report.rows]
    for line, made in zip(found, report.rows, strict=True):
        assert line["learner"] in (name := encodable(made.learner), f"'{name}")
        assert not line["learner"].startswith(("=", "+", "-", "@", "\t", "\r"))
        assert (line["points"] == "") == (made.state == "ungraded")


# -- JSON


def validator() -> jsonschema.Draft202012Validator:
    result = json.loads(verdict.SCHEMA_FILE.read_text("utf-8"))
    registry: Registry[Any] = Registry().with_resource(result["$id"], Resource.from_contents(result))
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(schema, registry=registry, format_checker=checker)


def test_json_is_as_its_schema_says() -> None:
    document = json.loads(one(sample_class.realistic(12), "json"))
    validator().validate(document)
    assert len(document["rows"]) == 24 and document["unmapped"]


def test_json_has_no_number_for_what_isn_t_graded() -> None:
    document = json.loads(one(small(), "json"))
    earned = {(found["learner"], found["lab"]): found["earned"] for found in document["rows"]}
    assert earned["ours", SERVICE.id] is None and earned["absent", SERVICE.id] == 0
    (ungraded,) = (found for found in document["rows"] if found["state"] == "ungraded")
    assert ungraded["result"]["graded"] is False and ungraded["result"]["earned"] is None
    assert {found["learner"]: found["earned"] for found in document["learners"]}["ours"] is None
    service = document["labs"][1]
    assert (service["counted"], service["not_submitted"], service["ungraded"]) == (2, 1, 1)
    assert service["mean_percent"] == pytest.approx(100 * 0.8 / 2)


@pytest.mark.parametrize("place", ["rows", "learners"])
def test_the_schema_refuses_a_zero_for_an_ungraded_one(place: str) -> None:
    document = json.loads(one(small(), "json"))
    found = next(item for item in document[place] if item["state"] == "ungraded")
    found["earned"] = 0
    assert not validator().is_valid(document)
    found["earned"], found["state"] = None, "graded"
    assert not validator().is_valid(document)


@anything
@given(CLASSES)
def test_json_gives_back_every_result(report: ClassReport) -> None:
    document = json.loads(one(report, "json"))
    validator().validate(document)
    for found, made in zip(document["rows"], report.rows, strict=True):
        assert found["learner"] == encodable(made.learner)
        if made.result:
            again = Result.from_dict(found["result"]).to_dict()
            assert again == json.loads(encodable(json.dumps(made.result.to_dict(), ensure_ascii=False)))


# -- JUnit XML


def test_junit_tells_failures_from_errors() -> None:
    suites = ET.fromstring(one(small(), "junit"))
    by_name = {suite.get("name"): suite for suite in suites}
    assert len(by_name) == 6
    failed = by_name[f"all {SERVICE.id}"]
    assert (failed.get("failures"), failed.get("errors")) == ("1", "0")
    assert [failure.get("type") for failure in failed.iter("failure")] == ["failed"]
    absent = by_name[f"absent {SERVICE.id}"]
    assert {failure.get("type") for failure in absent.iter("failure")} == {"not_submitted"}
    assert properties(absent)["points"] == "0"
    ours = by_name[f"ours {SERVICE.id}"]
    assert (ours.get("failures"), ours.get("errors")) == ("0", str(len(SERVICE.checks)))
    assert {error.get("type") for error in ours.iter("error")} == {"ungraded"}
    assert "points" not in properties(ours) and properties(ours)["state"] == "ungraded"
    for count in ("tests", "failures", "errors"):
        assert int(suites.get(count, "")) == sum(int(suite.get(count, "")) for suite in suites)


def properties(suite: ET.Element) -> dict[str, str]:
    return {str(found.get("name")): str(found.get("value")) for found in suite.iter("property")}


def test_junit_leaves_out_what_xml_can_t_say() -> None:
    assert legal("a\0\x08\x1b[31mb\ufffe\ud800\tc\r\n😀") == "a[31mb\tc\r\n😀"


@anything
@given(CLASSES)
def test_junit_gives_back_every_text(report: ClassReport) -> None:
    suites = ET.fromstring(one(report, "junit"))
    for suite, made in zip(suites, report.rows, strict=True):
        assert properties(suite)["learner"] == legal(made.learner)
        assert properties(suite)["source"] == legal(made.source)
        outputs = [legal(check.output) for check in made.result.checks if check.output] if made.result else []
        assert [found.text or "" for found in suite.iter("system-out")] == outputs


# -- Gradescope


def test_gradescope_gets_no_number_of_an_ungraded_learner() -> None:
    found = {name: json.loads(content) for name, content in written(small(), "gradescope").items()}
    assert set(found) == {f"gradescope/{name}.json" for name in ("all/results", "absent/results", "ours/ungraded")}
    everyone = found["gradescope/all/results.json"]
    assert everyone["score"] == sum(test["score"] for test in everyone["tests"]) == DOCKER.points + SERVICE.points - 2
    assert sum(test["max_score"] for test in everyone["tests"]) == DOCKER.points + SERVICE.points
    absent = found["gradescope/absent/results.json"]
    assert absent["score"] == 0 and DOCKER.id in absent["output"]
    assert {test["extra_data"]["verdict"] for test in absent["tests"]} == {"not_submitted"}
    ours = found["gradescope/ours/ungraded.json"]
    assert "score" not in ours and SERVICE.id in ours["output"]
    for test in ours["tests"]:
        assert not {"score", "max_score", "status"} & set(test), "one score, and the sum would be uploaded"


def test_gradescope_keeps_nothing_of_an_earlier_run(tmp_path: Path) -> None:
    """Graded yesterday, ungraded today: the old number must not be uploaded; and the other way round."""
    graded, ungraded = (sample_class.report([row("kim", DOCKER, state)], [DOCKER]) for state in ("graded", "ungraded"))
    for report, name in ((graded, "results.json"), (ungraded, "ungraded.json"), (graded, "results.json")):
        exports.write(report, tmp_path, ["gradescope"])
        assert [file.name for file in (tmp_path / "gradescope" / "kim").iterdir()] == [name]


#: The documented fields: https://gradescope-autograders.readthedocs.io/en/latest/specs/
_FIELDS = {"score", "tests", "output", "execution_time", "extra_data"}
_FIELDS |= {"output_format", "test_output_format", "test_name_format"}
_TEST_FIELDS = {"name", "number", "output", "tags", "extra_data", "score", "max_score", "status"}


@anything
@given(CLASSES)
def test_gradescope_s_files_hold_only_what_is_documented(report: ClassReport) -> None:
    found = [json.loads(content) for content in written(report, "gradescope").values()]
    assert [document["extra_data"]["learner"] for document in found] == [encodable(row.learner) for row in report.rows]
    for document, made in zip(found, report.rows, strict=True):
        assert set(document) <= _FIELDS and all(set(test) <= _TEST_FIELDS for test in document["tests"])
        assert document.get("score") == made.earned
        assert document["output_format"] == document["test_output_format"] == document["test_name_format"] == "text"
        assert isinstance(document["output"], str) and document["output"]


def test_gradescope_says_whose_failure_it_is() -> None:
    why = {"ko": "답이 둘입니다.", "en": "There are two answers."}
    undecided = Row("kim", DOCKER.id, "a, b", "ungraded", None, why, attempts=0)
    documents = {
        name.split("/")[1]: json.loads(content)
        for name, content in written(
            sample_class.report([undecided, row("lee", DOCKER, "ungraded")], [DOCKER]), "gradescope"
        ).items()
    }
    assert "grader failed" not in documents["kim"]["output"] and DOCKER.id in documents["kim"]["output"]
    assert "grader failed" in documents["lee"]["output"]
    assert {test["output"] for test in documents["kim"]["tests"]} == {"There are two answers."}
    for document in documents.values():
        assert "no score" in document["output"] and "score" not in document


def test_gradescope_leaves_nothing_of_another_run(tmp_path: Path) -> None:
    exports.write(sample_class.report([row("ann", DOCKER), row("ben", DOCKER), row("cho", DOCKER)], [DOCKER]), tmp_path)
    place = tmp_path / "gradescope"
    (place / "ben" / "notes.txt").write_text("the instructor's")
    (place / "results.json").write_text("nobody's")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "results.json").write_text("somebody's")
    (place / "link").symlink_to(tmp_path / "elsewhere")
    exports.write(sample_class.report([row("ann", DOCKER), row("CHO", DOCKER)], [DOCKER]), tmp_path)
    left = sorted(file.relative_to(place).as_posix() for file in place.rglob("*") if file.is_file())
    (moved,) = [name for name in left if name.startswith("CHO")]
    assert left == sorted(["ann/results.json", "ben/notes.txt", "results.json", moved])
    assert not (place / "cho").exists() and (tmp_path / "elsewhere" / "results.json").exists()
