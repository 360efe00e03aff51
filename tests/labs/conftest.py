"""Everything a lab needs, brought up once for the run on the test run's own cluster and nested engine."""

from __future__ import annotations

import pytest

from hello_k8s import start
from hello_k8s.progress import SILENT


@pytest.fixture(scope="session", autouse=True)
def prepared() -> None:
    """Engine, images, cluster, nested engine; what can't be had is an error of these tests, never a skip."""
    start.prepare(SILENT)
