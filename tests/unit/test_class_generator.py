"""The generated class: what it says must come out rests on the labs' own words, and it says the same every time."""

from __future__ import annotations

import random
import tarfile
import unicodedata
import zipfile
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import yaml

from hello_k8s import catalog
from hello_k8s.catalog import Lab
from hello_k8s.grading.overlay import overlaid
from hello_k8s.grading.replay import given_objects
from tests.classroom import dockerfiles, service
from tests.classroom.case import SORTS
from tests.classroom.dresses import DRESSES
from tests.classroom.generate import cases, one_replica, take, write_class

SERVICE, MULTI_STAGE = catalog.lab("ch2/service"), catalog.lab("ch1/multi-stage")


def objects(*files: bytes) -> list[object]:
    return [document for data in files for document in yaml.safe_load_all(data)]


@pytest.mark.parametrize("mutant", [None, *SERVICE.mutants], ids=lambda mutant: mutant.name if mutant else "solution")
def test_a_wrong_manifest_is_the_labs_own_mutant(mutant: catalog.Mutant | None) -> None:
    """In its plainest form it says what the files in mutants/ (or solution/) say."""
    folder = SERVICE.folder / "mutants" / mutant.name if mutant else SERVICE.solution
    files = [folder / name if (folder / name).exists() else SERVICE.solution / name for name in SERVICE.deliverables]
    made = service.wrong(SERVICE, mutant.name, "plain", "block") if mutant else take(SERVICE, "right", 1)[0]
    assert objects(*made.files.values()) == objects(*(file.read_bytes() for file in files))
    failed = {check for check, verdict in made.verdicts.items() if verdict == "failed"}
    assert failed == (mutant.fails if mutant else set())


@pytest.mark.parametrize("mutant", [None, *MULTI_STAGE.mutants], ids=lambda m: m.name if m else "solution")
def test_a_wrong_dockerfile_is_the_labs_own_mutant(mutant: catalog.Mutant | None) -> None:
    file = (
        MULTI_STAGE.folder / "mutants" / mutant.name / "Dockerfile" if mutant else MULTI_STAGE.solution / "Dockerfile"
    )
    made = dockerfiles.wrong(MULTI_STAGE, mutant.name, "plain", "plain") if mutant else take(MULTI_STAGE, "right", 1)[0]

    def steps(text: str) -> list[str]:
        return [line for line in text.splitlines() if line]

    assert steps(made.files["Dockerfile"].decode()) == steps(file.read_text("utf-8"))


def test_no_mutant_is_missing() -> None:
    for lab, known in ((SERVICE, service.MUTANTS), (MULTI_STAGE, dockerfiles.MUTANTS)):
        assert set(known) == {mutant.name for mutant in lab.mutants}
        wrong = take(lab, "wrong", len(known))
        assert {case.name.split(" · ")[0] for case in wrong} == set(known)


@pytest.mark.parametrize("lab", [SERVICE, MULTI_STAGE], ids=lambda lab: lab.id)
def test_the_same_seed_is_the_same_class(lab: Lab, tmp_path: Path) -> None:
    first, second = (write_class(tmp_path / name, [lab], seed=7) for name in ("a", "b"))
    other = write_class(tmp_path / "c", [lab], seed=8)
    assert [pupil.id for pupil in first.pupils] == [pupil.id for pupil in second.pupils]
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert content(tmp_path / "a") != content(tmp_path / "c")
    assert len(first.expected()) == len(other.expected()) == 100


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("lab", [SERVICE, MULTI_STAGE], ids=lambda lab: lab.id)
def test_what_a_class_of_a_hundred_is_made_of(lab: Lab, tmp_path: Path) -> None:
    room = write_class(tmp_path, [lab])
    found = [pupil.cases[lab.id] for pupil in room.pupils]
    right = {
        case.files[lab.deliverables[0]] + case.files[lab.deliverables[-1]] for case in found if case.sort == "right"
    }
    assert len(right) >= 30
    assert {case.sort for case in found} == set(SORTS)
    assert all(set(case.verdicts) == {check.id for check in lab.checks} for case in found)
    mutants = Counter(case.name.split(" · ")[0] for case in found if case.sort == "wrong")
    assert set(mutants) == {mutant.name for mutant in lab.mutants}
    names = [pupil.id for pupil in room.pupils]
    assert len({unicodedata.normalize("NFC", name) for name in names}) == 100
    assert any(name != unicodedata.normalize("NFC", name) for name in names)
    assert any(" " in pupil.source for pupil in room.pupils)


def test_every_pupil_s_files_are_there_in_folders_and_archives(tmp_path: Path) -> None:
    room = write_class(tmp_path, [SERVICE], mix={"right": 4, "wrong": 1}, count=30)
    endings = Counter(
        Path(pupil.source).suffix if pupil.source.endswith((".gz", ".zip")) else "" for pupil in room.pupils
    )
    assert endings["."] == 0 and min(endings[""], endings[".gz"], endings[".zip"]) >= 4
    for pupil in room.pupils:
        where = tmp_path / pupil.source
        back = f"{SERVICE.id}/back.yaml"
        if where.is_dir():
            data = (where / back).read_bytes()
        elif where.suffix == ".zip":
            with zipfile.ZipFile(where) as archive:
                data = archive.read(f"{pupil.id}/{back}")
        else:
            with tarfile.open(where) as archive:
                member = archive.extractfile(f"{pupil.id}/{back}")
                assert member is not None
                data = member.read()
        assert data == pupil.cases[SERVICE.id].files["back.yaml"]


def test_the_mix_is_what_was_asked_for(tmp_path: Path) -> None:
    room = write_class(tmp_path, [SERVICE], mix={"right": 70, "wrong": 30}, replicas=1)
    assert Counter(pupil.cases[SERVICE.id].sort for pupil in room.pupils) == {"right": 70, "wrong": 30}
    # With one back the same Pod every time is every Pod: that mutant says nothing there.
    assert not any(pupil.cases[SERVICE.id].name.startswith("sticky") for pupil in room.pupils)


def test_shapes_and_dresses_take_turns() -> None:
    found = [case.name.split(" · ") for case in islice(cases(SERVICE, "right", random.Random(1)), 1, 100)]
    assert {shape for shape, _ in found} == set(service.SHAPES)
    assert {dress for _, dress in found} == set(DRESSES)


def test_the_class_that_is_measured_has_one_back(home: Path, tmp_path: Path) -> None:
    lab = overlaid(SERVICE, one_replica(tmp_path / "overlay", SERVICE))
    (deployment,) = [obj for obj in given_objects(lab) if obj["kind"] == "Deployment"]
    assert deployment["spec"]["replicas"] == 1
    assert {check.id for check in lab.checks} == {check.id for check in SERVICE.checks}
