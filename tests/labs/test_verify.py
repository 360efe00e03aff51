"""Every lab proves itself: start fails, solution passes, each mutant fails exactly its checks."""

from __future__ import annotations

import pytest

from hello_k8s import authoring, catalog
from hello_k8s.catalog import Lab


@pytest.mark.parametrize("lab", catalog.labs(), ids=lambda lab: lab.id)
def test_lab_verifies(lab: Lab) -> None:
    report = authoring.verify(lab)
    assert report.ok, str(report)
