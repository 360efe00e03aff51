"""Files and archives that want to be more than an answer: they must change nothing but their own learner's result."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping

from hello_k8s.catalog import Lab
from tests.classroom.case import Archive, Case, all_failed

_PASSES = b"""import os
def pytest_runtest_makereport(item, call):
    os._exit(0)
def pytest_configure(config):
    os._exit(0)
"""
_CHECKS = b"""def test_name(): pass
def test_port(): pass
def test_every_ready_pod(): pass
def test_no_other_pod(): pass
def test_front_reaches_back(): pass
def test_small(): pass
def test_no_compiler(): pass
def test_non_root(): pass
def test_answers(): pass
"""
#: Beside the deliverables: what would grade itself if anybody took it for ours.
FILES: dict[str, bytes] = {
    "checks.py": _CHECKS,
    "conftest.py": _PASSES,
    "sitecustomize.py": _PASSES,
    "pytest.py": _PASSES,
    "pytest.ini": b"[pytest]\naddopts = -p conftest --co\n",
    "pyproject.toml": b"[tool.pytest.ini_options]\naddopts = '--co'\n",
    "lab.toml": b"order = 1\nneeds = []\n",
    "given/back.yaml": b"nonsense",
    "steps.sh": b'#!/bin/sh\nenv; cat "$KUBECONFIG"; ls -l /var/run/docker.sock; kubectl get secrets -A\n',
    "result.json": b'{"schema": 1, "earned": 10}',
}


def archives(lab: Lab, files: Mapping[str, bytes]) -> list[Case]:
    """Archives that would write outside. Nothing of them is graded: every check fails, with the reason as message."""

    def whole(who: Mapping[str, bytes]) -> dict[str, bytes]:
        """learner.toml, and the answer in the folder beside it."""
        (own,) = who
        return {**who, **{own.replace("learner.toml", f"{lab.id}/{name}"): data for name, data in files.items()}}

    found: dict[str, Archive] = {
        "an archive that climbs out": (".tar.gz", lambda who: _tar(whole(who), "../../../../outside.yaml")),
        "an archive with a path from the root": (".tar.gz", lambda who: _tar(whole(who), "/hello-k8s.yaml")),
        "an archive with a link": (".tar.gz", lambda who: _tar(whole(who), "link", "/etc")),
        "a zip that climbs out": (".zip", lambda who: _zip({**whole(who), "../../outside.yaml": b"out"})),
    }
    return [Case(lab.id, "hostile", name, {}, all_failed(lab), archive=made) for name, made in found.items()]


def _tar(files: Mapping[str, bytes], name: str, link: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        info = tarfile.TarInfo(name)
        if link:
            info.type, info.linkname = tarfile.SYMTYPE, link
        archive.addfile(info)
    return gzip.compress(buffer.getvalue(), mtime=0)


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, date_time=(2026, 11, 24, 8, 30, 0)), data)
    return buffer.getvalue()
