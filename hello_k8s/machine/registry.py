"""Asking a container registry: whether one answers at all, and pulling from it.

Where none answers (an air-gapped class) that has to be found out in seconds and once, so a registry is asked
over HTTP before the engine is: the engine's own attempt may hang for minutes.
"""

from __future__ import annotations

import functools
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from hello_k8s import paths
from hello_k8s.errors import CommandFailed
from hello_k8s.machine.engine import Engine
from hello_k8s.progress import Progress

#: Seconds in which a registry has to say anything.
_ANSWER_SECONDS = 4
_PULL_SECONDS = 1800
_HUB = "docker.io"


@dataclass(frozen=True)
class Reference:
    """An image reference in its parts: registry host, path in it, and `:tag` or `@sha256:…` (the digest wins)."""

    host: str
    path: str
    version: str

    def __str__(self) -> str:
        return f"{self.host}/{self.path}{self.version}"


def parse(ref: str) -> Reference:
    """Read a reference as docker does: `golang:1.26` is docker.io/library/golang:1.26; no tag is `:latest`."""
    rest, _, digest = ref.partition("@")
    first, slash, remainder = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, path = first, remainder
    else:
        host, path = _HUB, rest if slash else f"library/{rest}"
    name, colon, tag = path.rpartition(":")
    if not colon or "/" in tag:
        name, tag = path, "latest"
    return Reference(host, name, f"@{digest}" if digest else f":{tag}")


def source(ref: str) -> Reference:
    """Where `ref` is pulled from: its own registry, or the mirror that HELLO_K8S_REGISTRY (host:port) names."""
    parsed = parse(ref)
    mirror = os.environ.get("HELLO_K8S_REGISTRY")
    return Reference(mirror, parsed.path, parsed.version) if mirror else parsed


def reachable(ref: str, engine: Engine) -> bool:
    """Whether the registry of `ref` answers; asked once per registry and process.

    An engine with a proxy or a mirror of its own reaches what we can't see, so it is simply allowed to try.
    """
    return _has_way_of_its_own(engine) or _answers(source(ref).host)


@functools.cache
def _has_way_of_its_own(engine: Engine) -> bool:
    if os.environ.get("HELLO_K8S_REGISTRY"):
        return False
    info = engine.run("info", "--format", "{{.HTTPSProxy}}{{range .RegistryConfig.Mirrors}}{{.}}{{end}}", check=False)
    return info.code == 0 and bool(info.stdout.strip())


@functools.cache
def _answers(host: str) -> bool:
    asked = "registry-1.docker.io" if host == _HUB else host
    local = asked.split(":")[0] in ("localhost", "127.0.0.1")
    url = f"{'http' if local else 'https'}://{asked}/v2/"
    # a proxy of the user's doesn't lead to this machine itself
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))
    try:
        with opener.open(url, timeout=_ANSWER_SECONDS) as answer:
            return answer.status == 200 and "docker-distribution-api-version" in answer.headers
    except urllib.error.HTTPError as refused:
        # a registry that wants a token says so; a proxy's or a portal's error page doesn't
        return refused.code == 401 and "www-authenticate" in refused.headers
    except (OSError, ValueError):
        return False


def pull(ref: str, engine: Engine, progress: Progress) -> str | None:
    """Pull `ref` and return the reference under which the engine has it now; None where it couldn't be had."""
    wanted = str(source(ref))
    try:
        engine.run("pull", wanted, timeout=_PULL_SECONDS, on_line=progress.line)
    except CommandFailed as failed:
        if not engine.answers():
            raise engine.silent(failed) from failed
        progress.line(failed.output.strip())
        return None
    _remember(wanted)
    return wanted


def _record() -> Path:
    return paths.cache() / "pulled"


def _remember(ref: str) -> None:
    with _record().open("a", encoding="utf-8") as file:
        file.write(f"{ref}\n")


def pulled_by_us() -> list[str]:
    """References of the images that `pull` fetched: nobody had them before, so `uninstall` removes them."""
    return sorted(set(_record().read_text("utf-8").split())) if _record().exists() else []
