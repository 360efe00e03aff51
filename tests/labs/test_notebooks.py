"""All notebooks twice, in an order by chance, on one engine and cluster: none needs what another left, none leaves any.

The seed is printed; HELLO_K8S_SEED repeats an order.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hello_k8s import catalog, notebooks, paths
from hello_k8s.grading.waiting import eventually
from hello_k8s.language import LANGUAGES
from hello_k8s.machine.cluster import Cluster

pytestmark = [
    pytest.mark.docker,
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("HELLO_K8S_FULL"), reason="test --full: every notebook, twice"),
]
#: Folders of the checkout that tools write to while anything runs.
CACHES = {".git", ".venv", ".state", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", "workspace"}


def files() -> Iterator[str]:
    """Every file of the checkout, and what lies in the folder for temporary ones under our name."""
    for folder, below, names in os.walk(paths.ROOT):
        below[:] = [name for name in below if name not in CACHES]
        yield from (str(Path(folder, name)) for name in names)
    yield from map(str, Path(tempfile.gettempdir()).glob("hello-k8s-*"))


def things() -> set[str]:
    """What is on the engine and in the cluster, once no namespace of it is about to go."""
    api = Cluster().api()
    eventually(lambda: not any("deletionTimestamp" in each["metadata"] for each in api.list("Namespace")), 120)
    return notebooks.things()


def test_twice_in_an_order_by_chance_they_leave_nothing() -> None:
    seed = int(os.environ.get("HELLO_K8S_SEED", random.randrange(1 << 32)))
    print("HELLO_K8S_SEED", seed)
    chance = random.Random(seed)
    # The two languages' code is equal (tests/unit/test_parity.py): once in each is twice.
    order = [
        notebooks.file_of(lab, language)
        for language in LANGUAGES
        for lab in chance.sample(catalog.labs(), len(catalog.labs()))
    ]
    before = things(), set(files())
    done = subprocess.run(
        notebooks.nbval_command(order), cwd=paths.ROOT, env=notebooks.environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert things() <= before[0]
    assert set(files()) == before[1]
