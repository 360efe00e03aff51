"""An image made for one learner, as `docker save` would write it: all of it follows from the seed."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import Any

from hello_k8s.grading.own import Dice

TAG = "inspect:lab"
NAMES = ("kiln", "ledger", "sonar", "beacon", "courier", "harbor", "lantern", "mill")
FOLDERS = ("/opt", "/srv", "/usr/local")
VERBS = ("serve", "run", "start", "work")
MODES = ("debug", "test", "staging", "production")
REGIONS = ("seoul", "busan", "jeju", "daejeon", "gwangju")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SAYS = "A line of text: the lab's image is here to be inspected, not to be run.\n"


@dataclass(frozen=True)
class Step:
    """One instruction: what history shows, and the files of its layer (None: it only changes the settings)."""

    made_by: str
    files: dict[str, str] | None = None


class Made:
    """The image of one seed: what is in it, and what its settings say."""

    def __init__(self, seed: int) -> None:
        dice = Dice(seed, "ch1/inspect")
        self.name = dice.pick(NAMES)
        self.home = f"{dice.pick(FOLDERS)}/{self.name}"
        self.entrypoint = [f"{self.home}/bin/{self.name}", dice.pick(VERBS)]
        self.port = dice.number(7001, 8999)
        self.metrics = dice.number(9001, 9899)
        self.cmd = [f"--metrics=:{self.metrics}", f"--workers={dice.number(2, 16)}"]
        uid = dice.number(10_001, 19_999)
        self.user = f"{uid}:{uid + dice.number(1, 900)}"
        first = dice.number(0, len(MODES) - 2)
        self.first_mode, self.mode = MODES[first], MODES[dice.number(first + 1, len(MODES) - 1)]
        self.region = dice.pick(REGIONS)
        self.parts = ("etc", "share", "data", "lib")[: dice.number(1, 4)]
        self.cleans = dice.number(0, 1) == 1
        self.steps = self._steps()

    @property
    def env(self) -> dict[str, str]:
        upper = self.name.upper()
        return {f"{upper}_HOME": self.home, f"{upper}_MODE": self.mode, f"{upper}_REGION": self.region}

    @property
    def layers(self) -> list[dict[str, str]]:
        return [step.files for step in self.steps if step.files is not None]

    def _steps(self) -> list[Step]:
        upper, home = self.name.upper(), self.home.lstrip("/")
        steps = [
            Step("ADD rootfs.tar.xz / # buildkit", {"etc/os-release": "ID=lab\n", "etc/passwd": "root:x:0:0::/:\n"}),
            Step('CMD ["bash"]'),
            Step(f"LABEL org.opencontainers.image.title={self.name}"),
            Step(f"ENV {upper}_HOME={self.home} {upper}_MODE={self.first_mode}"),
            Step(f"WORKDIR {self.home}", {f"{home}/": ""}),
            Step("USER root"),
        ]
        for part in self.parts:
            files = {f"{home}/{part}/{number}.txt": SAYS * (number + 3) for number in range(3)}
            steps.append(Step(f"COPY {part}/ {self.home}/{part}/ # buildkit", files))
        steps.append(Step(f"COPY bin/ {self.home}/bin/ # buildkit", {f"{home}/bin/{self.name}": SAYS * 20}))
        if self.cleans:
            gone = f"{home}/{self.parts[0]}/.wh.0.txt"
            steps.append(Step(f"RUN /bin/sh -c rm {self.parts[0]}/0.txt # buildkit", {gone: ""}))
        return [
            *steps,
            Step(f"ENV {upper}_MODE={self.mode} {upper}_REGION={self.region}"),
            Step(f"EXPOSE map[{self.port}/tcp:{{}}]"),
            Step(f"USER {self.user}"),
            Step(f"ENTRYPOINT {json.dumps(self.entrypoint)}"),
            Step(f"CMD {json.dumps(self.cmd)}"),
        ]


def files(seed: int) -> dict[str, bytes]:
    """`image.tar`: the learner loads it with `docker load --input image.tar`."""
    made = Made(seed)
    layers = [_tar(layer) for layer in made.layers]
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    config = json.dumps(_config(made, digests), sort_keys=True).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    paths = [f"{digest}/layer.tar" for digest in digests]
    manifest = json.dumps([{"Config": name, "RepoTags": [TAG], "Layers": paths}]).encode()
    return {"image.tar": _tar({name: config, **dict(zip(paths, layers, strict=True)), "manifest.json": manifest})}


def answers(seed: int) -> dict[str, Any]:
    """What answers.toml says when everything is right."""
    made = Made(seed)
    return {
        "entrypoint": made.entrypoint,
        "cmd": made.cmd,
        "user": made.user,
        "port": f"{made.port}/tcp",
        "layers": len(made.layers),
        "env": made.env,
    }


def wrong(seed: int) -> dict[str, dict[str, Any]]:
    """What each misconception answers instead."""
    made = Made(seed)
    visible = sum(any(text for text in layer.values()) for layer in made.layers)
    return {
        "history-lines": {"layers": len(made.steps)},
        "sized-lines": {"layers": visible},
        "merged": {"entrypoint": made.entrypoint + made.cmd},
        "base-command": {"cmd": ["bash"]},
        "first-user": {"user": "root"},
        "port-in-command": {"port": f"{made.metrics}/tcp"},
        "first-value": {"env": {**made.env, f"{made.name.upper()}_MODE": made.first_mode}},
    }


def _config(made: Made, digests: list[str]) -> dict[str, Any]:
    variables = {"PATH": PATH, **made.env}
    history = []
    for minute, step in enumerate(made.steps):
        entry = {"created": f"2026-03-02T09:{minute:02}:00Z", "created_by": step.made_by}
        history.append(entry if step.files is not None else {**entry, "empty_layer": True})
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": history[-1]["created"],
        "config": {
            "User": made.user,
            "ExposedPorts": {f"{made.port}/tcp": {}},
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "Entrypoint": made.entrypoint,
            "Cmd": made.cmd,
            "WorkingDir": made.home,
            "Labels": {"org.opencontainers.image.title": made.name},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": history,
    }


def _tar(entries: dict[str, str] | dict[str, bytes]) -> bytes:
    """An archive whose bytes depend on nothing but `entries`; a name that ends in / is a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in entries.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name.rstrip("/"))
            if name.endswith("/"):
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            else:
                info.size, info.mode = len(data), 0o755 if "/bin/" in name else 0o644
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
