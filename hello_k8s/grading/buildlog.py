"""A build that failed, told in the builder's own words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hello_k8s.grading.verdict import Texts, Unmet
from hello_k8s.language import both

#: Lines of the failed step that are kept as evidence.
_KEPT = 15
_WHERE = re.compile(r"^(\S+):(\d+)$", re.MULTILINE)
_MARKED = re.compile(r"^\s*\d+ \|\s*>>> (.*)$", re.MULTILINE)
_STEP = re.compile(r"^------\n > \[[^\n]*\]:?[^\n]*\n(.*?)^------$", re.MULTILINE | re.DOTALL)
_ERROR = re.compile(r"^ERROR: (?:failed to (?:build|solve): )?(?:failed to solve: )?(.*)$", re.MULTILINE)
#: Characters of a line that are looked at: a step may print a megabyte without an end of line.
_LINE = 500
#: Characters of the telling line that are part of the sentence.
_TOLD = 200
_TIME = re.compile(r"^\d+\.\d+ ")
_NO_BASE = re.compile(r"(\S+): failed to resolve source metadata|pull access denied, repository does not exist")
_DENIED = re.compile(r'source "(\S+?)" denied by policy')
_IMAGE = "docker-image://"


def build_failure(output: str, dockerfile: str, images: Iterable[str]) -> Unmet:
    """The Unmet for what `docker buildx build --progress=plain` printed before it failed.

    `images` are the lab's images (folder names), named where a FROM asks for another one.
    """
    output = _cut(output)
    error, said = _error(output), _said(output)
    where, marked = _WHERE.findall(output), _MARKED.findall(output)
    instruction = marked[0].strip() if marked else ""
    evidence = evidence_of(output)
    if refused := _refused(error, instruction, dockerfile, ", ".join(["scratch", *base_names(images)])):
        return Unmet(refused, (), evidence)
    line = where[-1][1] if where else ""
    word = _telling(said) or error
    diagnosis: list[Texts] = []
    if said and word != error:
        diagnosis.append(both("grading.builder_said", error=error))
    if line and instruction:
        text = both("grading.build_failed_at", file=dockerfile, line=line, instruction=instruction, error=word)
    else:
        text = both("grading.build_failed", file=dockerfile, error=word)
    return Unmet(text, diagnosis, evidence)


def _telling(said: list[str]) -> str:
    """Of what a failed step printed, the line that tells most: the first with a place or an error, else the last."""
    for line in said:
        if re.search(r":\d+:|\berror\b|not found|no such file|cannot|denied", line, re.IGNORECASE):
            return line.strip()[:_TOLD]
    return said[-1].strip()[:_TOLD] if said else ""


def _refused(error: str, instruction: str, dockerfile: str, images: str) -> Texts | None:
    """What a build may not have: an image that isn't the lab's, the network, another builder."""
    if "network.host is not allowed" in error:
        return both("building.host_network", file=dockerfile)
    if error.startswith("failed to resolve source metadata for"):
        return both("building.frontend", file=dockerfile, line=instruction)
    denied = _DENIED.search(error)
    if denied and not denied[1].startswith(_IMAGE):
        return both("building.no_network", file=dockerfile, source=denied[1], images=images)
    if base := _missing_base(error, instruction):
        return both("grading.base_missing", file=dockerfile, image=base, images=images)
    return None


def _missing_base(error: str, instruction: str) -> str:
    found, denied = _NO_BASE.search(error), _DENIED.search(error)
    if match := re.match(r"FROM\s+(?:--\S+\s+)*(\S+)", instruction, re.IGNORECASE):
        return match[1] if found or denied else ""
    if found:
        return found[1] or ""
    return denied[1].removeprefix(_IMAGE).removeprefix("docker.io/").removeprefix("library/") if denied else ""


def base_names(images: Iterable[str]) -> list[str]:
    """The names under which the images (folder names) can be asked for in a nested engine."""
    from hello_k8s import catalog

    known = catalog.images()
    return [name for image in images if image in known for name in (*known[image].aliases, known[image].name)]


def evidence_of(output: str) -> list[str]:
    """The last lines that the failed step printed, and the error."""
    output = _cut(output)
    return [*_said(output)[-_KEPT:], f"ERROR: {_error(output)}"]


def _cut(output: str) -> str:
    return "\n".join(line[:_LINE] for line in output.splitlines())


def _error(output: str) -> str:
    errors = _ERROR.findall(output)
    return errors[-1].strip() if errors else _last(output)


def _said(output: str) -> list[str]:
    step = _STEP.search(output)
    said = [_TIME.sub("", line).rstrip() for line in step[1].splitlines()] if step else []
    return [line for line in said if line.strip() and not line.startswith("[output clipped")]


def _last(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else ""
