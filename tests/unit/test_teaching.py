"""What the instructors' page says that a submission may take is what the grader gives it."""

from __future__ import annotations

import re

import pytest

from hello_k8s import paths
from hello_k8s.grading import attempt, building, containers
from hello_k8s.language import LANGUAGES
from hello_k8s.machine import kindconfig
from hello_k8s.machine.quantity import amount

GIB = 1 << 30


def given() -> list[dict[float, str]]:
    """The numbers of each row and what they count, out of the code and the manifests."""
    limits = dict(option.lstrip("-").split("=", 1) for option in containers.LIMITS if "=" in option)
    quota = kindconfig.namespace("a", {}, replay=True)[1]["spec"]["hard"]
    policy = kindconfig.text("admission.yaml")
    (cpus,) = re.findall(r"asApproximateFloat\(\) : 0\.0\)\.sum\(\) <= (\d)\.0 &&", policy)
    assert f"<= {GIB}.0" in policy
    (unlimited,) = re.findall(r"^memory=(\d+)M$", kindconfig.text("cni-isolation.sh"), re.MULTILINE)
    return [
        {
            attempt.CLASS_BUILD_SECONDS: "s",
            building.MEMORY / GIB: "memory",
            building.DISK / GIB: "disk",
            building.PROCESSES: "processes",
        },
        {
            float(limits["memory"].rstrip("m")): "memory",
            float(limits["cpus"]): "CPU; GiB of files",
            float(limits["pids-limit"]): "processes",
        },
        {float(cpus): "CPU; GiB of memory", float(unlimited): "memory where no limit is set"},
        {
            float(amount(quota["requests.cpu"])): "CPUs",
            float(amount(quota["requests.memory"])) / GIB: "memory",
            float(quota["pods"]): "Pods",
            float(quota["services"]): "Services",
        },
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_what_the_grader_gives(language: str) -> None:
    page = (paths.ROOT / f"book/{language}/appendix/teaching.md").read_text("utf-8")
    (table,) = re.findall(r"\n\|---\|---\|\n((?:\|.*\n)+)", page)
    rows = [set(map(float, re.findall(r"\d+", row))) for row in table.splitlines()]
    assert rows[:-1] == [set(numbers) for numbers in given()] and rows[-1] == set()
    assert containers.DISK == GIB
