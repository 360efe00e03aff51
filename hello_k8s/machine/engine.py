"""A Docker engine, reached by the `docker` command: the user's own, or the nested one.

The command, not the SDK: it follows the user's context (Docker Desktop, a remote engine) by itself, reaches a
nested engine through `docker exec`, and imports in no time.
"""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hello_k8s import paths
from hello_k8s.errors import CommandFailed, EngineError, ProgramMissing
from hello_k8s.language import t
from hello_k8s.process import Completed, run

#: How the docker command begins to say that no daemon answers, whatever was asked (the last: since Docker 29).
#: Further on in a line it may be quoting: an image's entrypoint can have any name.
_NO_DAEMON = re.compile(
    r"^(?:docker: |ERROR: )?"
    r"(?:Cannot connect to the Docker daemon|error during connect|failed to connect to the docker API)",
    re.MULTILINE,
)


#: How runc says that it couldn't freeze a container, and for how many seconds that is tried.
_NOT_NOW = "unable to freeze"
_FREEZE_SECONDS = 15.0


@dataclass(frozen=True)
class Engine:
    """One engine. `prefix` is the argv before docker's own words: `("docker",)`, or that of a nested engine.

    `name`: `own` for the user's, `nested` for one inside a container of ours.
    """

    prefix: tuple[str, ...] = ("docker",)
    name: str = "own"

    def run(
        self,
        *args: str,
        input: bytes | Path | None = None,
        timeout: float | None = 120,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run `docker args…`.

        Raises CommandFailed when docker says no (with `check`), EngineError when no daemon answered or the
        command ran out of `timeout` (seconds) while the daemon doesn't answer either: ours, not a learner's.
        """
        if args[:1] == ("buildx",) and self.name == "own":
            # buildx keeps notes of each build; ~/.docker is the user's
            env = {"BUILDX_CONFIG": str(paths.state() / "buildx"), **(env or {})}
        try:
            done = run([*self.prefix, *args], input=input, timeout=timeout, check=check, env=env, on_line=on_line)
        except ProgramMissing as missing:
            raise self.silent(CommandFailed([*self.prefix, *args], missing.what, 127)) from missing
        except CommandFailed as failed:
            if _NO_DAEMON.search(failed.output) or not self.answers():
                raise self.silent(failed) from failed
            raise
        if not check and done.code != 0 and _NO_DAEMON.search(done.stderr):
            raise self.silent(CommandFailed(done.argv, done.stderr, done.code))
        return done

    def silent(self, failed: CommandFailed) -> EngineError:
        """The error that says that this engine doesn't answer, with the command that found out."""
        return EngineError(
            failed.command,
            failed.output,
            failed.exit_code_of_command,
            what=t("engine.silent"),
            next=t("engine.silent_next"),
        )

    def json(self, *args: str, timeout: float | None = 60) -> Any:
        """`docker args…` read as JSON: one value, or a list where it prints a value a line."""
        text = self.run(*args, timeout=timeout).stdout.strip()
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return [json.loads(line) for line in text.splitlines() if line.strip()]

    def answers(self, timeout: float = 10) -> bool:
        """Whether a daemon answers within `timeout` seconds."""
        try:
            done = run([*self.prefix, "version", "--format", "{{.Server.Version}}"], timeout=timeout, check=False)
        except Exception:  # no client, no container, no answer: all the same to the one who asks
            return False
        return done.code == 0 and bool(done.stdout.strip())

    def image(self, ref: str) -> dict[str, Any] | None:
        """What `docker image inspect` says of `ref` (a name or an ID); None where the image isn't here."""
        done = self.run("image", "inspect", ref, check=False, timeout=60)
        return json.loads(done.stdout)[0] if done.code == 0 else None

    def container(self, name: str) -> dict[str, Any] | None:
        """What `docker container inspect` says of `name`; None where there is no such container."""
        done = self.run("container", "inspect", name, check=False, timeout=60)
        return json.loads(done.stdout)[0] if done.code == 0 else None

    def pause(self, *containers: str) -> None:
        """Freeze containers, all at once; one that is frozen already is fine.

        runc gives up where a process can't be frozen just then, as while it waits for the disk (cgroup v1): tried again
        for some seconds. Raises what `run` does.
        """
        until = time.monotonic() + _FREEZE_SECONDS
        left = containers
        while left:
            try:
                self.run("pause", *left)
                return
            except CommandFailed as failed:
                left = tuple(name for name in left if not self._is_paused(name))
                if left and (_NOT_NOW not in failed.output or time.monotonic() > until):
                    raise
                time.sleep(0.2)  # nothing tells when it can be frozen

    def _is_paused(self, container: str) -> bool:
        found = self.container(container)
        return found is not None and bool(found["State"]["Paused"])

    def remove(self, *containers: str) -> None:
        """Remove containers with their anonymous volumes, running or not; one that isn't there is fine."""
        if containers:
            self.run("rm", "--force", "--volumes", *containers, check=False)

    def build(
        self,
        context: Path | bytes,
        tag: str,
        *,
        dockerfile: str = "Dockerfile",
        build_args: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
        timeout: float | None = 600,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Build `context` (a folder, or a tar made by `tar_of`) as `tag`, with BuildKit and plain progress.

        The context goes in on standard input, so that the same call serves a nested engine. No provenance
        attestation: an image is one manifest, so
        that its ID is the same on every engine. Raises CommandFailed with the builder's own words.
        """
        data = context if isinstance(context, bytes) else tar_of(context)
        arguments = [word for name, value in (build_args or {}).items() for word in ("--build-arg", f"{name}={value}")]
        return self.run(
            "buildx", "build", "--progress=plain", "--provenance=false", "--load", "--tag", tag,
            f"--file={dockerfile}", *arguments, *options, "-",
            input=data, timeout=timeout, on_line=on_line,
        )  # fmt: skip


def tar_of(folder: Path, changed: Mapping[str, bytes] | None = None) -> bytes:
    """`folder` as an uncompressed tar: names sorted, times and owners zeroed, so that equal trees are equal bytes.
    Everybody may read it, whatever the umask that it was checked out with: in an image it has other readers.

    `changed` replaces or adds files by name (`/` between folders). Symbolic links stay links.
    """
    buffer = io.BytesIO()
    changed = dict(changed or {})
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            info = archive.gettarinfo(str(path), arcname=name)
            info.mtime = info.uid = info.gid = 0
            info.uname = info.gname = ""
            if not path.is_symlink():
                info.mode = 0o755 if path.is_dir() or info.mode & 0o100 else 0o644
            if path.is_file() and not path.is_symlink():
                _add(archive, info, changed.pop(name) if name in changed else path.read_bytes())
            else:
                archive.addfile(info)
        for name, data in sorted(changed.items()):
            info = tarfile.TarInfo(name)
            info.mode = 0o644
            _add(archive, info, data)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, info: tarfile.TarInfo, data: bytes) -> None:
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def user_engine() -> Engine:
    """The engine that the docker command finds by itself. HELLO_K8S_DOCKER names another docker program."""
    return Engine((os.environ.get("HELLO_K8S_DOCKER") or "docker",))
