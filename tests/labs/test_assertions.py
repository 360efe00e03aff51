"""Every assertion of every checks.py, removed or negated, is noticed: by the solution, a mutant or start.

All labs with `test --full`; else one a day in turn, which the run says at its beginning.
"""

from __future__ import annotations

import os

import pytest

from hello_k8s import catalog
from hello_k8s.authoring.assertions import due, unnoticed
from hello_k8s.catalog import Lab

LABS = catalog.labs() if os.environ.get("HELLO_K8S_FULL") else due(catalog.labs())


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.id)
def test_every_assertion_is_needed(lab: Lab) -> None:
    left = unnoticed(lab)
    assert not left, "\n".join(f"{lab.id}/{each}" for each in left)
