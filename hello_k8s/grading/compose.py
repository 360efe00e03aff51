"""`compose.yaml`: the containers of a Docker lab, read as data, never by docker compose.

A submission says how the lab's own images are to run, with the keys in `_READERS`; each of them becomes an option of
`docker run` in the nested engine. What reaches beyond the container is refused with its key and why. Where no limit is
set ours holds, and the report says so; one beyond ours is cut down to it.
"""

from __future__ import annotations

import difflib
import math
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hello_k8s.grading.answers import BLANK
from hello_k8s.grading.manifests import read_documents
from hello_k8s.grading.verdict import Unmet
from hello_k8s.language import both

FILE = "compose.yaml"
#: Most that a container gets whatever it asks for: bytes, bytes beyond them in swap, processors, processes, weight.
MEMORY = 256 << 20
CPUS = 1.0
PIDS = 100
SHARES = 1024

#: Known to Compose, of no consequence here: left out, and named in the report.
_LEFT_OUT = ("container_name", "expose", "healthcheck", "hostname", "labels", "ports", "pull_policy", "restart")
#: Why other keys are refused, for the messages `compose.why.…`.
_REFUSED = {
    "host": (
        "cap_add", "cgroup", "cgroup_parent", "device_cgroup_rules", "devices", "gpus", "group_add", "ipc", "isolation",
        "network_mode", "oom_kill_disable", "oom_score_adj", "pid", "privileged", "runtime", "storage_opt", "sysctls",
        "ulimits", "use_api_socket", "userns_mode", "uts", "volumes", "volumes_from",
    ),
    "files": (
        "build", "configs", "credential_spec", "develop", "env_file", "extends", "include", "label_file", "secrets",
    ),
    "network": ("dns", "dns_opt", "dns_search", "external_links", "extra_hosts", "links", "mac_address", "networks"),
}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]?)i?b?", re.IGNORECASE)
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_SHOWN = 60


@dataclass(frozen=True)
class Service:
    """One service. What isn't set is None or empty; sizes in bytes, `cpus` in processors, -1 is "no limit"."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    read_only: bool = False
    tmpfs: tuple[str, ...] = ()
    memory: int | None = None
    memory_and_swap: int | None = None
    reservation: int | None = None
    cpus: float | None = None
    shares: int | None = None
    pids: int | None = None
    cap_drop: tuple[str, ...] = ()
    no_new_privileges: bool = False
    init: bool = False
    stop_signal: str = ""
    stop_seconds: int | None = None
    #: What was left out of the file, and which limits are ours: for the report.
    notes: tuple[str, ...] = ()

    @property
    def unlimited(self) -> frozenset[str]:
        """Which of memory, swap, cpus and pids it doesn't limit itself."""
        asked = {"memory": self.memory, "cpus": self.cpus, "pids": self.pids}
        found = {name for name, value in asked.items() if not value or value < 0}
        return frozenset(found | {"swap"} if "memory" in found or (self.memory_and_swap or 0) < 0 else found)

    @property
    def swap(self) -> int | None:
        """Bytes that it may swap beyond its memory, as it asks; None where it doesn't say, or sets no limit."""
        if not self.memory_and_swap or "swap" in self.unlimited:
            return None
        return self.memory_and_swap - (self.memory or 0)

    def options(self) -> tuple[str, ...]:
        """Options of `docker run`; limits that aren't set, or are too high, are ours."""
        memory = MEMORY if "memory" in self.unlimited else min(self.memory or MEMORY, MEMORY)
        swap = self._memory_and_swap(memory)
        reservation = min(self.reservation or 0, MEMORY)
        pids = PIDS if "pids" in self.unlimited else min(self.pids or PIDS, PIDS)
        cpus = CPUS if "cpus" in self.unlimited else min(self.cpus or CPUS, CPUS)
        words = [f"--memory={memory}", f"--memory-swap={swap}", f"--pids-limit={pids}", f"--cpus={cpus:g}"]
        words += [f"--env={name}={value}" for name, value in self.environment.items()]
        words += [f"--tmpfs={each}" for each in self.tmpfs] + [f"--cap-drop={each}" for each in self.cap_drop]
        given = {
            "memory-reservation": reservation if reservation > 0 else None,
            "cpu-shares": self.shares and min(self.shares, SHARES),
            "user": self.user, "stop-signal": self.stop_signal, "stop-timeout": self.stop_seconds,
        }  # fmt: skip
        words += [f"--{name}={value}" for name, value in given.items() if value not in (None, "")]
        words += ["--read-only"] * self.read_only + ["--init"] * self.init
        return (*words, *(f"--entrypoint={word}" for word in self.entrypoint[:1]))

    def _memory_and_swap(self, memory: int) -> int:
        """What both are together, in bytes, where `memory` is the one; 0 is docker's own: as much swap as memory."""
        if "swap" in self.unlimited:
            return 2 * MEMORY
        if self.swap is None:
            return 0
        # What it asks for beyond its memory, not the sum. Less than the memory is docker's to refuse: not 0, not -1.
        return max(1, memory + min(self.swap, MEMORY))

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the image's name."""
        return (*self.entrypoint[1:], *self.command)


def read_compose(file: Path, name: str = FILE, images: Iterable[str] = ()) -> dict[str, Service]:
    """The services in `file`, called `name` in messages; `images` are all that they may run.

    Raises Unmet with the file, the key and why for whatever can't be used.
    """
    documents = read_documents(file, name)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise _wrong(name, "services", documents[0] if documents else None, "mapping")
    top = {key: value for key, value in documents[0].items() if not str(key).startswith("x-")}
    for key in top:
        if key not in ("services", "name", "version"):
            raise _refused(name, str(key), str(key), ("services",))
    services = top.get("services")
    if not isinstance(services, dict) or not services:
        raise _wrong(name, "services", services, "mapping")
    return {str(key): _service(name, str(key), value, tuple(images)) for key, value in services.items()}


def _service(file: str, service: str, values: Any, images: tuple[str, ...]) -> Service:
    path = f"services.{service}"
    if not isinstance(values, dict):
        raise _wrong(file, path, values, "mapping")
    found: dict[str, Any] = {}
    notes: list[str] = []
    for key, value in values.items():
        here = f"{path}.{key}"
        if str(key).startswith("x-") or value is None:
            continue
        if any(isinstance(each, str) and BLANK.search(each) for each in (key, value)):
            raise Unmet(both("answers.blank", file=file, key=here))
        if key in _LEFT_OUT:
            notes.append(f"{file}: {here} → —")
        elif key in _READERS:
            for target, read in _READERS[key](_Value(file, here, value)).items():
                if target in found and found[target] != read:
                    raise Unmet(both("compose.twice", file=file, key=here))
                found[target] = read
        else:
            raise _refused(file, here, str(key), (*_READERS, *_LEFT_OUT))
    if found.get("image", "").removeprefix("docker.io/") not in images:
        got = found.get("image") or "—"
        raise Unmet(both("compose.image", file=file, key=f"{path}.image", got=_short(got), images=", ".join(images)))
    quota, period = found.pop("quota", None), found.pop("period", None) or 100_000
    if quota is not None and quota > 0:
        found.setdefault("cpus", quota / period)
    made = Service(name=service, **found)
    ours = {"memory": f"{MEMORY >> 20}m", "cpus": f"{CPUS:g}", "pids": PIDS}
    notes += [f"{file}: {path}: {limit} — → {ours[limit]}" for limit in sorted(made.unlimited & ours.keys())]
    return replace(made, notes=tuple(notes))


@dataclass(frozen=True)
class _Value:
    """A value with its place, read as the kind that its key takes."""

    file: str
    key: str
    value: Any

    def wrong(self, kind: str) -> Unmet:
        return _wrong(self.file, self.key, self.value, kind)

    def below(self, allowed: Iterable[str]) -> dict[str, _Value]:
        if not isinstance(self.value, dict):
            raise self.wrong("mapping")
        for key in self.value:
            if key not in allowed:
                raise _refused(self.file, f"{self.key}.{key}", str(key), tuple(allowed))
        return {key: _Value(self.file, f"{self.key}.{key}", value) for key, value in self.value.items()}

    def text(self, pattern: str = r"(?s).*") -> str:
        value = self.value
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.wrong("text")
        text = str(value)
        if re.search(r"(?<!\$)(?:\$\$)*\$(?=[A-Za-z_{])", text):
            raise Unmet(both("compose.variable", file=self.file, key=self.key, got=_short(text)))
        if "\0" in text or not re.fullmatch(pattern, text):
            raise self.wrong("text")
        return text.replace("$$", "$")

    def yes(self) -> bool:
        if str(self.value).lower() not in ("true", "false"):
            raise self.wrong("boolean")
        return str(self.value).lower() == "true"

    def number(self) -> float:
        try:
            found = float(self.text())
        except ValueError:
            raise self.wrong("number") from None
        if not math.isfinite(found) or abs(found) > 1e15:
            raise self.wrong("number")
        return found

    def whole(self) -> int:
        if (found := self.number()) != int(found):
            raise self.wrong("number")
        return int(found)

    def size(self) -> int:
        text = self.text().strip()
        if text == "-1":
            return -1
        match = _SIZE.fullmatch(text)
        if not match or len(text) > 20:
            raise self.wrong("size")
        return int(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " "))

    def seconds(self) -> int:
        text = self.text().strip()
        match = _DURATION.fullmatch(text)
        if not match or not text or len(text) > 20:
            raise self.wrong("duration")
        hours, minutes, seconds, thousandths = (float(part or 0) for part in match.groups())
        return min(math.ceil(hours * 3600 + minutes * 60 + seconds + thousandths / 1000), 60)

    def words(self) -> tuple[str, ...]:
        """A list, or one text taken apart as a shell would."""
        if isinstance(self.value, list):
            return self.texts()
        try:
            return tuple(shlex.split(self.text()))
        except ValueError:
            raise self.wrong("words") from None

    def texts(self, pattern: str = r"(?s).*") -> tuple[str, ...]:
        """A list of texts, or one."""
        items = self.value if isinstance(self.value, list) else [self.value]
        return tuple(replace(self, key=f"{self.key}[{at}]", value=item).text(pattern) for at, item in enumerate(items))

    def variables(self) -> dict[str, str]:
        if isinstance(self.value, dict):
            pairs = {str(key): replace(self, key=f"{self.key}.{key}", value=item) for key, item in self.value.items()}
            found = {key: _plain(item) for key, item in pairs.items()}
        else:
            found = dict(line.split("=", 1) for line in self.texts(r"(?s)[^=]+=.*"))
        if not all(re.fullmatch(r"[A-Za-z_][\w.-]*", key, re.ASCII) for key in found):
            raise self.wrong("variables")
        return found


def _plain(item: _Value) -> str:
    return str(item.value).lower() if isinstance(item.value, bool) else item.text()


def _tmpfs(value: _Value) -> dict[str, Any]:
    found = value.texts(r"/[\w./-]*(:[\w=,%]*)?")
    for place in found:
        top = place.partition(":")[0].replace("//", "/").split("/")[1]
        if top in ("", "proc", "sys", "dev", "etc") or ".." in place:
            raise Unmet(both("compose.tmpfs", file=value.file, key=value.key, got=_short(place)))
    return {"tmpfs": found}


def _security(value: _Value) -> dict[str, Any]:
    for each in value.texts():
        if not re.fullmatch(r"no-new-privileges([:=]true)?", each):
            raise Unmet(both("compose.security", file=value.file, key=value.key, got=_short(each)))
    return {"no_new_privileges": True}


def _deploy(value: _Value) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for resources in value.below(("resources",)).values():
        parts = resources.below(("limits", "reservations"))
        if "limits" in parts:
            limits = {
                "cpus": ("cpus", _Value.number),
                "memory": ("memory", _Value.size),
                "pids": ("pids", _Value.whole),
            }
            for key, item in parts["limits"].below(limits).items():
                target, read = limits[key]
                found[target] = read(item)
        if "reservations" in parts:  # CPUs that are reserved mean something to an orchestrator only
            for key, item in parts["reservations"].below(("cpus", "memory")).items():
                found |= {"reservation": item.size()} if key == "memory" else {}
    return found


_READERS: Mapping[str, Callable[[_Value], dict[str, Any]]] = {
    "image": lambda value: {"image": value.text()},
    "command": lambda value: {"command": value.words()},
    "entrypoint": lambda value: {"entrypoint": value.words()},
    "environment": lambda value: {"environment": value.variables()},
    "user": lambda value: {"user": value.text(r"[\w.-]+(:[\w.-]+)?")},
    "read_only": lambda value: {"read_only": value.yes()},
    "tmpfs": _tmpfs,
    "mem_limit": lambda value: {"memory": value.size()},
    "memswap_limit": lambda value: {"memory_and_swap": value.size()},
    "mem_reservation": lambda value: {"reservation": value.size()},
    "cpus": lambda value: {"cpus": value.number()},
    "cpu_quota": lambda value: {"quota": value.whole()},
    "cpu_period": lambda value: {"period": value.whole()},
    "cpu_shares": lambda value: {"shares": value.whole()},
    "pids_limit": lambda value: {"pids": value.whole()},
    "cap_drop": lambda value: {"cap_drop": value.texts(r"[A-Za-z_]+")},
    "security_opt": _security,
    "init": lambda value: {"init": value.yes()},
    "stop_signal": lambda value: {"stop_signal": value.text(r"[A-Z0-9+-]{1,12}")},
    "stop_grace_period": lambda value: {"stop_seconds": value.seconds()},
    "deploy": _deploy,
}


def _refused(file: str, key: str, name: str, allowed: tuple[str, ...]) -> Unmet:
    for why, names in _REFUSED.items():
        if name in names:
            texts = both(f"compose.why.{why}")
            return Unmet(
                {lang: both("compose.refused", file=file, key=key, why=text)[lang] for lang, text in texts.items()}
            )
    near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    if near:
        return Unmet(both("compose.unknown_near", file=file, key=_short(key), near=near[0]))
    return Unmet(both("compose.unknown", file=file, key=_short(key), known=", ".join(allowed)))


def _wrong(file: str, key: str, value: Any, kind: str) -> Unmet:
    kinds = both(f"compose.kind.{kind}")
    got = _short(repr(value) if isinstance(value, str) else str(value))
    return Unmet(
        {lang: both("compose.wrong_kind", file=file, key=key, got=got, kind=text)[lang] for lang, text in kinds.items()}
    )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
