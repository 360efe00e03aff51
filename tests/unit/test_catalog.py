"""lab.toml, image.toml: what is wrong is named with file, key and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from hello_k8s import catalog
from hello_k8s.errors import CatalogError, UsageError

from .conftest import FILES, LAB_TOML, write

IMAGE_TOML = """
name = "hello-k8s/x:1"
kind = "dockerfile"
usual_seconds = 10

[title]
ko = "가"
en = "a"
"""


def read(labs: Path, text: str) -> catalog.Lab:
    write(labs / "ch1" / "small", {"lab.toml": text})
    return catalog.read_lab(labs / "ch1" / "small", labs)


@pytest.mark.parametrize(
    ("old", "new", "key", "expected"),
    [
        ("order = 10", "", "order", "whole number"),
        ("order = 10", 'order = "10"', "order", "whole number"),
        ("order = 10", "order = true", "order", "whole number"),
        ("order = 10", "ordre = 10\norder = 10", "ordre", "order"),
        ('check = "replay"', 'check = "watch"', "check", "look, replay"),
        ('needs = ["docker"]', 'needs = ["podman"]', "needs", "docker"),
        ('needs = ["docker"]', 'needs = "docker"', "needs", "list"),
        ('needs = ["docker"]', "needs = [1]", "needs", "list"),
        ("minutes = 5", 'minutes = 5\nmemory = "half a gig"', "memory", "512Mi"),
        ("minutes = 5", 'minutes = 5\nmemory = "512 Mi"', "memory", "512Mi"),
        ('en = "A small lab"', "", "title.en", "text"),
        ('en = "A small lab"', 'en = "A"\nfr = "B"', "title.fr", "no such key"),
        ("points = 2", 'points = "2"', "checks.first.points", "whole number"),
        ("points = 2", "points = 2\npoint = 2", "checks.first.point", "points"),
        ('hints.en = ["Where to look", "What to change"]', 'hints.en = ["Where"]', "checks.first.hints", "as many"),
        ('fails = ["first"]', 'fails = ["frist"]', "mutants.wrong.fails", "first"),
        ("[mutants.other]", "[mutants]\nodd = 1\n[mutants.other]", "mutants.odd", "table"),
        ('check = "replay"', 'check = "replay"\nreplay = 1', "replay", "table"),
    ],
)
def test_a_wrong_lab_toml_is_named_by_file_key_and_expectation(
    labs: Path, old: str, new: str, key: str, expected: str
) -> None:
    assert old in LAB_TOML
    with pytest.raises(CatalogError) as wrong:
        read(labs, LAB_TOML.replace(old, new, 1))
    assert "lab.toml" in wrong.value.what and f"`{key}`" in wrong.value.what
    assert expected in wrong.value.why
    assert wrong.value.next and wrong.value.exit_code == 1


def test_what_is_no_toml_is_named_with_line_and_column(labs: Path) -> None:
    with pytest.raises(CatalogError) as wrong:
        read(labs, "order = \n")
    assert "lab.toml" in wrong.value.what and "line 1, column" in wrong.value.why


def test_a_file_that_is_not_utf8_or_missing_is_named(labs: Path) -> None:
    (labs / "ch1" / "small" / "lab.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CatalogError, match=r"lab\.toml"):
        catalog.read_lab(labs / "ch1" / "small", labs)
    (labs / "ch1" / "small" / "lab.toml").unlink()
    with pytest.raises(CatalogError, match=r"lab\.toml"):
        catalog.read_lab(labs / "ch1" / "small", labs)


def test_a_folder_with_a_wrong_name_is_refused(labs: Path) -> None:
    write(labs / "ch1" / "Not_Good", FILES)
    with pytest.raises(CatalogError) as wrong:
        catalog.read_lab(labs / "ch1" / "Not_Good", labs)
    assert "ch1/Not_Good" in wrong.value.why


def test_labs_come_in_teaching_order(labs: Path) -> None:
    for name, order in (("ch10/late", 1), ("ch2/b", 20), ("ch2/a", 30), ("ch1/zero", 5)):
        write(labs / name, {**FILES, "lab.toml": LAB_TOML.replace("order = 10", f"order = {order}")})
    assert [lab.id for lab in catalog.labs()] == ["ch1/zero", "ch1/small", "ch2/b", "ch2/a", "ch10/late"]


@pytest.mark.parametrize("asked", ["ch1/smal", "ch2/small", "small", "ch1/samll"])
def test_the_nearest_labs_are_offered(labs: Path, asked: str) -> None:
    with pytest.raises(UsageError) as wrong:
        catalog.lab(asked)
    assert asked in wrong.value.what and "ch1/small" in wrong.value.why
    assert "lab list" in wrong.value.next and wrong.value.exit_code == 2


def test_a_lab_says_its_files_points_and_namespace(small: catalog.Lab) -> None:
    assert sorted(map(str, small.files())) == ["Dockerfile", "given.txt", "sub/notes.txt"]
    assert (small.points, small.namespace, small.on_cluster) == (5, "ch1-small", False)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [('kind = "dockerfile"', 'kind = "magic"', "kind"), ("usual_seconds = 10", "", "usual_seconds"),
     ('name = "hello', 'nam = "hello', "name"), ("[title]", "[build_args]\nA = 1\n[title]", "build_args.A")],
)  # fmt: skip
def test_a_wrong_image_toml_is_named_too(home: Path, old: str, new: str, key: str) -> None:
    write(home / "x", {"image.toml": IMAGE_TOML.replace(old, new, 1)})
    with pytest.raises(CatalogError) as wrong:
        catalog.read_image(home / "x")
    assert "image.toml" in wrong.value.what and f"`{key}`" in wrong.value.what and wrong.value.why


def test_the_nearest_images_are_offered(labs: Path) -> None:
    write(labs.parent / "images", {"golang/image.toml": IMAGE_TOML})
    with pytest.raises(UsageError) as wrong:
        catalog.image("golagn")
    assert "golang" in wrong.value.why and "images list" in wrong.value.next


def test_everything_in_the_repository_reads() -> None:
    assert catalog.labs() and catalog.images()
    catalog.addons()
