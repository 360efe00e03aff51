"""An untrusted Dockerfile built in a nested engine that other builds share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hello_k8s.errors import CommandFailed, EngineError
from hello_k8s.grading.buildlog import build_failure
from hello_k8s.grading.verdict import TimedOut
from hello_k8s.language import both
from hello_k8s.machine.nested import Nested


def build(
    nested: Nested, folder: Path, tag: str, dockerfile: str, *, images: Iterable[str] = (), seconds: float, owner: str
) -> None:
    """Build `dockerfile` with the context `folder` as `tag`, within `seconds`.

    `images` are the lab's images (folder names), all that a FROM may name; `owner` says whose cache mounts it sees.
    Raises Unmet for what the Dockerfile does wrong, TimedOut past `seconds`, EngineError for what is ours.
    """
    engine = nested.engine
    own_cache = {"BUILDKIT_CACHE_MOUNT_NS": owner}
    for last in (False, True):
        try:
            engine.build(folder, tag, dockerfile=dockerfile, build_args=own_cache, timeout=seconds)
            return
        except EngineError:
            raise
        except CommandFailed as failed:
            if failed.exit_code_of_command is None:
                # The client is gone, what it asked for is not: only stopping the engine ends it.
                nested.stop()
                raise TimedOut(seconds, both("grading.build_timed_out", seconds=f"{seconds:g}")) from None
            if "no space left on device" not in failed.output or last:
                raise build_failure(failed.output, dockerfile, images) from None
            # The disk of the nested engine is full of earlier builds: that is ours to clear, once.
            engine.run("builder", "prune", "--all", "--force", timeout=300)
            engine.run("image", "prune", "--force", timeout=300)
