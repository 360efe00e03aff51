"""A class whose scores are known before it is graded: N learners, seeded, as folders and as archives.

    from tests.classroom.generate import write_class
    room = write_class(folder, [catalog.lab("ch2/service")])      # a hundred learners
    room = write_class(folder, labs, mix={"right": 70, "wrong": 30})

Every expectation follows from how an answer was made; the grader is never asked.
"""

from __future__ import annotations

import gzip
import io
import itertools
import random
import shutil
import tarfile
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hello_k8s.catalog import Lab
from tests.classroom import dockerfile_others, dockerfiles, service, service_others
from tests.classroom.case import SORTS, Case, Sort

#: Of a hundred.
MIX: dict[Sort, int] = {"right": 50, "wrong": 27, "partial": 6, "broken": 6, "empty": 4, "hostile": 7}
_SURNAMES = ("김", "이", "박", "최", "정", "강", "조", "윤", "장", "임")
_NAMES = ("하나", "두리", "세진", "네오", "다솔", "여름", "이룸", "나래", "아라", "보람")
_FIRST = ("ada", "alan", "grace", "edsger", "barbara", "donald", "leslie", "frances", "ken", "radia")
_LAST = ("berg", "o.hara", "van-dijk", "smith", "lee", "novak", "rossi", "sato", "silva", "young")


@dataclass(frozen=True)
class Pupil:
    """One learner: `source` is the folder or archive below the class folder, `cases` by lab."""

    id: str
    seed: int
    source: str
    cases: Mapping[str, Case]

    @property
    def learner_toml(self) -> bytes:
        return f'id = "{self.id}"\nseed = {self.seed}\n'.encode()


@dataclass(frozen=True)
class Classroom:
    """A class that was written to `folder`."""

    folder: Path
    labs: tuple[Lab, ...]
    pupils: tuple[Pupil, ...]

    def expected(self) -> dict[tuple[str, str], Case]:
        """(learner, lab) → what was handed in, and so what has to come out. Names composed (NFC)."""
        return {
            (unicodedata.normalize("NFC", pupil.id), lab): case
            for pupil in self.pupils
            for lab, case in pupil.cases.items()
        }


def cases(lab: Lab, sort: Sort, chance: random.Random, replicas: int = 3) -> Iterator[Case]:
    """Answers of `sort` for `lab`, without end. `replicas`: how many Pods the lab's Deployment back has."""
    if lab.id == "ch2/service":
        if sort == "right":
            return service.rights(lab, chance)
        if sort == "wrong":
            return service.wrongs(lab, chance, replicas)
        return _shuffled(service_others.cases(lab, sort), chance)
    if lab.id == "ch1/multi-stage":
        if sort == "right":
            return dockerfiles.rights(lab, chance)
        if sort == "wrong":
            return dockerfiles.wrongs(lab, chance)
        return _shuffled(dockerfile_others.cases(lab, sort), chance)
    raise ValueError(f"no answers are known for {lab.id}")


def _shuffled(found: Sequence[Case], chance: random.Random) -> Iterator[Case]:
    while True:
        yield from chance.sample(found, len(found))


def write_class(
    folder: Path,
    labs: Sequence[Lab],
    count: int = 100,
    seed: int = 5,
    mix: Mapping[Sort, int] | None = None,
    replicas: int = 3,
) -> Classroom:
    """Write a class of `count` into the empty `folder`. Equal arguments give equal bytes.

    `mix`: how many of each sort, in any unit; the rest of a division goes to the right ones.
    """
    chance = random.Random(seed)
    sorts = _sorts(mix or MIX, count, chance)
    each = {lab.id: {sort: cases(lab, sort, chance, replicas) for sort in SORTS} for lab in labs}
    pupils = []
    for number, sort in enumerate(sorts):
        chosen = {lab.id: next(each[lab.id][sort]) for lab in labs}
        pupil = _pupil(number, chosen, chance)
        _write(folder, pupil, number)
        pupils.append(pupil)
    return Classroom(folder, tuple(labs), tuple(pupils))


def _sorts(mix: Mapping[Sort, int], count: int, chance: random.Random) -> list[Sort]:
    whole = sum(mix.values())
    sorts: list[Sort] = [sort for sort in SORTS for _ in range(mix.get(sort, 0) * count // whole) if sort != "right"]
    sorts += ["right"] * (count - len(sorts))
    chance.shuffle(sorts)
    return sorts


def _pupil(number: int, chosen: Mapping[str, Case], chance: random.Random) -> Pupil:
    """Names as classes have them: Hangul composed and decomposed, spaces, a dot, a class within the class."""
    row, place = divmod(number, 10)
    hundred, row = divmod(row, 10)
    again = str(hundred + 1) if hundred else ""
    korean = f"{_SURNAMES[row]}{_NAMES[place]}{again}"
    latin = f"{_FIRST[row]}.{_LAST[place]}{again}"
    bad = next((case.archive for case in chosen.values() if case.archive), None)
    ways = (
        (latin, latin),
        (korean, f"{korean[0]} {korean[1:]}"),
        (unicodedata.normalize("NFD", korean), unicodedata.normalize("NFD", korean)),
        (korean, f"반 {row + 1}/제출/{unicodedata.normalize('NFD', korean)}"),
        (latin, f"{latin}.tar.gz"),
        (latin, f"group b/{latin} (late).zip"),
        (f"-{number}.{latin}"[1:], f"-o {number}"),
    )
    name, source = ways[number % len(ways)]
    if bad:
        name, source = latin, f"{latin}{bad[0]}"
    return Pupil(name, chance.randrange(2**31), source, chosen)


def _write(folder: Path, pupil: Pupil, number: int) -> None:
    learner = pupil.learner_toml
    if number % 9 == 3:
        learner = b"\xef\xbb\xbf" + learner.replace(b"\n", b"\r\n")
    bad = next((case.archive for case in pupil.cases.values() if case.archive), None)
    target = folder / pupil.source
    target.parent.mkdir(parents=True, exist_ok=True)
    files = {"learner.toml": learner}
    for lab, case in pupil.cases.items():
        files |= {**case.planted, **{f"{lab}/{name}": data for name, data in case.planted.items()}}
        files |= {f"{lab}/{name}": data for name, data in case.files.items()}
    inside = {f"{pupil.id}/{name}": data for name, data in files.items()}
    if bad:
        target.write_bytes(bad[1]({f"{pupil.id}/learner.toml": learner}))
    elif target.name.endswith(".tar.gz"):
        target.write_bytes(_tar(inside))
    elif target.suffix == ".zip":
        target.write_bytes(_zip(inside))
    else:
        for name, data in files.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(data)


def _tar(files: Mapping[str, bytes]) -> bytes:
    """With entries for the folders, as `tar czf` makes them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folders = {str(parent) for name in files for parent in Path(name).parents if str(parent) != "."}
        for name in sorted(folders):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(info)
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, date_time=(2026, 11, 24, 8, 30, 0)), data)
    return buffer.getvalue()


def take(lab: Lab, sort: Sort, count: int, seed: int = 5) -> list[Case]:
    """The first `count` answers of `sort`."""
    return list(itertools.islice(cases(lab, sort, random.Random(seed)), count))


def copy_files(case: Case, folder: Path) -> Path:
    """The lab's folder of one case, written to `folder` anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in {**case.planted, **case.files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def one_replica(folder: Path, lab: Lab) -> Path:
    """An overlay in `folder` that gives the Service lab one back in place of three: how a class's pace is measured."""
    given = (lab.folder / "given/back.yaml").read_text("utf-8")
    changed = given.replace("replicas: 3\n", "replicas: 1\n")
    if changed == given:
        raise ValueError(f"{lab.id}: given/back.yaml has no three replicas")
    target = folder / lab.id / "given/back.yaml"
    target.parent.mkdir(parents=True)
    target.write_text(changed, "utf-8")
    (folder / lab.id / "overlay.toml").write_text("# one back in place of three\n", "utf-8")
    return folder
