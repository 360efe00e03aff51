"""What decides that an image or a step is made anew: nothing but what it is made from."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from hello_k8s import catalog, paths
from hello_k8s.catalog import Image, read_image
from hello_k8s.errors import CatalogError, MachineError
from hello_k8s.machine import debian, recipe
from hello_k8s.machine.engine import Engine
from hello_k8s.progress import SILENT

IMAGE_TOML = """
name = "test/{name}:1"
kind = "{kind}"
bases = {bases}
usual_seconds = 1
build_args = {{ WANTED = "1", OTHER = "1" }}
[title]
ko = "시험"
en = "Test"
"""


def make(folder: Path, name: str = "tiny", kind: str = "packages", bases: str = "[]") -> Image:
    """An image folder with two steps; the second reads `manifest.yaml` and takes the first one's result."""
    image = folder / name
    (image / "steps").mkdir(parents=True)
    (image / "image.toml").write_text(IMAGE_TOML.format(name=name, kind=kind, bases=bases))
    (image / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
    (image / "manifest.yaml").write_text("one")
    (image / "steps" / "10-compile.sh").write_text('# usual: 600\necho "$WANTED" >"$OUT/file"\n')
    (image / "steps" / "20-pack.sh").write_text("# reads: manifest.yaml\n# after: 10-compile\n")
    return read_image(image)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELLO_K8S_CACHE", str(tmp_path / "cache"))


def test_the_same_files_elsewhere_are_the_same_recipe(tmp_path: Path) -> None:
    here, there = make(tmp_path / "a"), make(tmp_path / "b")
    assert recipe.recipe_hash(here, {}) == recipe.recipe_hash(there, {})
    assert [step.key for step in recipe.steps(here)] == [step.key for step in recipe.steps(there)]


@pytest.mark.parametrize("file", ["Dockerfile", "manifest.yaml", "steps/10-compile.sh"])
def test_every_file_of_the_folder_counts(tmp_path: Path, file: str) -> None:
    image = make(tmp_path)
    before = recipe.recipe_hash(image, {})
    with (image.folder / file).open("a") as stream:
        stream.write("\n# another\n")
    assert recipe.recipe_hash(image, {}) != before


def test_titles_and_durations_do_not_count(tmp_path: Path) -> None:
    image = make(tmp_path)
    other = dataclasses.replace(image, title={"ko": "다른", "en": "Other"}, usual_seconds=99, space_gb=99)
    assert recipe.recipe_hash(image, {}) == recipe.recipe_hash(other, {})


def test_a_changed_base_changes_what_is_built_on_it(tmp_path: Path) -> None:
    base, image = make(tmp_path, "base"), make(tmp_path, "top", bases='["base"]')
    before = recipe.recipe_hash(image, {"base": base})
    (base.folder / "Dockerfile").write_text("FROM scratch\n")
    assert recipe.recipe_hash(image, {"base": base}) != before


def test_sources_of_the_checkout_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.go").write_text("package main")
    image = dataclasses.replace(make(tmp_path / "images"), sources=("app",))
    before = recipe.recipe_hash(image, {})
    (tmp_path / "app" / "main.go").write_text("package other")
    assert recipe.recipe_hash(image, {}) != before


def test_a_changed_manifest_compiles_nothing_anew(tmp_path: Path) -> None:
    image = make(tmp_path)
    compiled, packed = recipe.steps(image)
    (image.folder / "manifest.yaml").write_text("two")
    assert recipe.steps(image)[0] == compiled
    assert recipe.steps(image)[1].key != packed.key


def test_a_changed_step_changes_those_after_it(tmp_path: Path) -> None:
    image = make(tmp_path)
    compiled, packed = recipe.steps(image)
    (image.folder / "steps" / "10-compile.sh").write_text("true\n")
    assert recipe.steps(image)[0].key != compiled.key
    assert recipe.steps(image)[1].key != packed.key


def test_only_build_arguments_that_a_step_uses_count_for_it(tmp_path: Path) -> None:
    image = make(tmp_path)
    other = dataclasses.replace(image, build_args={"WANTED": "1", "OTHER": "2"})
    wanted = dataclasses.replace(image, build_args={"WANTED": "2", "OTHER": "1"})
    assert recipe.steps(other)[0].key == recipe.steps(image)[0].key
    assert recipe.steps(wanted)[0].key != recipe.steps(image)[0].key


def test_a_step_says_what_it_usually_takes_and_how_others_find_it(tmp_path: Path) -> None:
    compiled = recipe.steps(make(tmp_path))[0]
    assert (compiled.usual_seconds, compiled.variable, compiled.done) == (600, "OUT_COMPILE", False)


@pytest.mark.parametrize(
    ("name", "script"),
    [("1-short.sh", ""), ("30-reads.sh", "# reads: nothing.txt\n"), ("30-after.sh", "# after: 40-later\n")],
)
def test_a_wrong_step_is_named(tmp_path: Path, name: str, script: str) -> None:
    image = make(tmp_path)
    (image.folder / "steps" / name).write_text(script)
    with pytest.raises(CatalogError, match=name):
        recipe.steps(image)


def test_building_needs_debian_and_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make(tmp_path)
    monkeypatch.setattr(debian, "system", lambda: "macos")
    assert "images load" in (recipe.why_not(image) or ("", ""))[1]
    monkeypatch.setattr(debian, "system", lambda: "debian")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "sudo" in (recipe.why_not(image) or ("", ""))[1]
    assert recipe.why_not(dataclasses.replace(image, kind="dockerfile")) is None


class NoDisk(Engine):
    """An engine whose folder is on this machine."""

    def run(self, *args: str, **_: object):  # type: ignore[no-untyped-def,override]
        from hello_k8s.process import Completed

        return Completed(args, 0, "/\n", "")


def test_too_little_space_is_said_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = dataclasses.replace(make(tmp_path), space_gb=12)
    monkeypatch.setattr(recipe, "why_not", lambda _: None)
    usage = shutil.disk_usage("/")._replace(free=11 * 10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(MachineError) as told:
        recipe.build(image, NoDisk(), SILENT)
    assert "11.0" in told.value.what and "12" in told.value.what and told.value.why and told.value.next


def test_how_long_a_step_takes_may_be_corrected(tmp_path: Path) -> None:
    image = make(tmp_path)
    before = recipe.recipe_hash(image, {}), recipe.steps(image)[0].key
    (image.folder / "steps" / "10-compile.sh").write_text('# usual: 700\necho "$WANTED" >"$OUT/file"\n')
    assert (recipe.recipe_hash(image, {}), recipe.steps(image)[0].key) == before


def test_tidy_keeps_the_steps_of_today_but_not_the_context(tmp_path: Path) -> None:
    image = make(tmp_path)
    step, context = recipe.steps(image)
    work = recipe.work_folder(image)
    for folder in (step.folder, context.folder, work / "scratch" / "go", work / "10-compile-0123456789abcdef"):
        folder.mkdir(parents=True)
    step.stamp.touch()
    (work / "10-compile-0123456789abcdef.done").touch()
    recipe.tidy(image)
    assert sorted(path.name for path in work.iterdir()) == sorted([step.folder.name, step.stamp.name])


def test_every_image_of_the_catalog_has_a_readable_recipe() -> None:
    for image in catalog.images().values():
        assert len(recipe.recipe_hash(image)) == 16
        found = recipe.steps(image)
        assert bool(found) == (image.kind == "packages"), image.id
        assert (image.folder / "Dockerfile").is_file(), image.id
