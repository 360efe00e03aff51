"""Classes are graded on the test run's own cluster and nested engine: some of these tests break them on purpose."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hello_k8s import selftest, start
from hello_k8s.machine.cluster import Cluster
from hello_k8s.machine.nested import class_engine
from hello_k8s.progress import SILENT


@pytest.fixture(scope="session")
def names() -> Iterator[dict[str, str]]:
    """The environment of a test run, also where pytest was called by hand; a learner's cluster is never used."""
    wanted = {key: os.environ.get(key, value) for key, value in selftest.environment().items()}
    before = {key: os.environ.get(key) for key in wanted}
    os.environ.update(wanted)
    assert wanted["HELLO_K8S_CLUSTER"] != "hello-k8s" and wanted["HELLO_K8S_ENGINE"] != "hello-k8s-engine"
    yield wanted
    for key, value in before.items():
        if value is None:
            del os.environ[key]
        else:
            os.environ[key] = value


@pytest.fixture(scope="session")
def machine(names: dict[str, str]) -> Iterator[Cluster]:
    """Engine, images, cluster: what can't be had is an error of these tests, never a skip."""
    Path(names["HELLO_K8S_STATE"]).mkdir(parents=True, exist_ok=True)
    yield start.prepare(SILENT)
    class_engine().down()
