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
_TIME = re.compile(r"^\d+\.\d+ ")
_NO_BASE = re.compile(r"(\S+): failed to resolve source metadata|pull access denied, repository does not exist")


def build_failure(output: str, dockerfile: str, images: Iterable[str]) -> Unmet:
    """The Unmet for what `docker buildx build --progress=plain` printed before it failed.

    `images` are the lab's images (folder names), named where a FROM asks for another one.
    """
    errors = _ERROR.findall(output)
    error = errors[-1].strip() if errors else _last(output)
    step = _STEP.search(output)
    said = [_TIME.sub("", line).rstrip() for line in step[1].splitlines()] if step else []
    said = [line for line in said if line.strip()]
    where, marked = _WHERE.findall(output), _MARKED.findall(output)
    instruction = marked[0].strip() if marked else ""
    evidence = [*said[-_KEPT:], f"ERROR: {error}"]
    if base := _missing_base(output, instruction):
        return Unmet(both("grading.base_missing", file=dockerfile, image=base, images=_names(images)), (), evidence)
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
            return line.strip()
    return said[-1].strip() if said else ""


def _missing_base(output: str, instruction: str) -> str:
    if not _NO_BASE.search(output):
        return ""
    if match := re.match(r"FROM\s+(?:--\S+\s+)*(\S+)", instruction, re.IGNORECASE):
        return match[1]
    found = _NO_BASE.search(output)
    return found[1] or "" if found else ""


def _names(images: Iterable[str]) -> str:
    from hello_k8s import catalog

    known = catalog.images()
    names = [name for image in images if image in known for name in (*known[image].aliases, known[image].name)]
    return ", ".join(["scratch", *names])


def _last(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else ""
