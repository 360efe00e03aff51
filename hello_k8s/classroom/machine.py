"""The machine under a class: brought up before it, mended during it, tidied after it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO

from hello_k8s import files, paths
from hello_k8s.catalog import Lab
from hello_k8s.errors import HelloError, UsageError
from hello_k8s.grading.containers import WORKER
from hello_k8s.grading.ground import Ground
from hello_k8s.grading.nonce import APART, CLASS, SECRET
from hello_k8s.grading.replay import CLASS_LABEL, WORKER_LABEL
from hello_k8s.language import t
from hello_k8s.machine.cluster import Cluster
from hello_k8s.machine.nested import Nested, class_engine

#: Seconds between two looks at what may be broken: many gradings fail together.
_HEAL_SECONDS = 5.0


class ClassMachine:
    """What `labs` need. `output` tells one class from another: what its killed run left behind is its own."""

    def __init__(self, output: Path, labs: Sequence[Lab], note: Callable[[str], None]) -> None:
        self.labs = labs
        self.id = hashlib.sha256(str(output.resolve()).encode()).hexdigest()[:12]
        self._note = note
        self._secret = secrets.token_hex(16)
        #: Where the workers put what they need for a moment: a killed one can't tidy up after itself.
        self._scratch = paths.state() / "classes" / f"{self.id}-scratch"
        self._healed = 0.0
        self._lock: IO[bytes] | None = None

    @cached_property
    def cluster(self) -> Cluster | None:
        return Cluster() if any(lab.on_cluster for lab in self.labs) else None

    @cached_property
    def engine(self) -> Nested | None:
        builds = any("docker" in lab.needs for lab in self.labs)
        return class_engine() if builds else None

    @property
    def environment(self) -> Mapping[str, str]:
        """What the workers are told, once the machine is up."""
        told = {CLASS: self.id, SECRET: self._secret, "TMPDIR": str(self._scratch), "PYTHONDONTWRITEBYTECODE": "1"}
        if self.engine:
            told["HELLO_K8S_ENGINE"] = self.engine.name
            told[APART] = "1" if self.engine.keeps_apart() else ""
        return told

    def up(self) -> None:
        """Cluster, engine and images there, leftovers of this class gone.

        Raises MachineError, ClusterError; UsageError where another class is graded in the same engine.
        """
        self._hold()
        self._remove_scratch()
        self._scratch.mkdir(parents=True)
        self.up_again()
        if self.cluster:
            self._remove_namespaces()
            ground = Ground()
            for lab in self.labs:
                if lab.on_cluster and "docker" not in lab.needs:
                    ground.load_images(lab)

    def _hold(self) -> None:
        """Keep the engine for this class until `down`, or until this process is gone."""
        if not self.engine or self._lock:
            return
        stream = (paths.cache() / f"{self.engine.name}.lock").open("ab")
        if not files.lock_if_free(stream):
            stream.close()
            raise UsageError(t("classroom.engine_busy", name=self.engine.name), next=t("classroom.engine_busy_next"))
        self._lock = stream

    def heal(self) -> None:
        """After a failure of ours: what is down is brought up again, and what killed workers left goes, as far as that
        can be done.
        """
        if time.monotonic() - self._healed < _HEAL_SECONDS:
            return
        try:
            self.up_again()
            self._remove_orphans()
        except HelloError as error:
            self._note(t("classroom.not_healed", why=error.what))
        self._healed = time.monotonic()

    def up_again(self) -> None:
        """The running part of `up`. Raises what it does."""
        if self.cluster:
            self.cluster.up()
        if self.engine:
            self.engine.up({name for lab in self.labs if "docker" in lab.needs for name in lab.images})

    def down(self) -> None:
        """Remove what the class made. Never raises: the rows are what counts."""
        if self.engine and not self._lock:
            return  # it is another class's
        self._remove_scratch()
        with contextlib.suppress(HelloError, OSError):
            if self.cluster:
                self._remove_namespaces()
        with contextlib.suppress(HelloError, OSError):
            if self.engine and not os.environ.get("HELLO_K8S_KEEP_CLASS_ENGINE"):
                self.engine.down()
        if self._lock:
            self._lock.close()
            self._lock = None

    def _remove_scratch(self) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _remove_orphans(self) -> None:
        """What is left of a killed worker's submissions would go on beside the others until the class ends."""
        if self.cluster:
            self._remove_namespaces(lambda labels: _is_gone(labels.get(WORKER_LABEL, "")))
        if self.engine:
            shown = f'{{{{.ID}}}} {{{{.Label "{WORKER}"}}}}'
            lines = self.engine.engine.run("ps", "--all", f"--filter=label={WORKER}", f"--format={shown}").stdout
            found = [line.split() for line in lines.splitlines()]
            self.engine.engine.remove(*(container for container, worker in found if _is_gone(worker)))

    def _remove_namespaces(self, which: Callable[[Mapping[str, str]], bool] = lambda labels: True) -> None:
        assert self.cluster is not None
        api = self.cluster.api()
        for namespace in api.list("Namespace", labels={CLASS_LABEL: self.id}):
            metadata = namespace["metadata"]
            if "deletionTimestamp" not in metadata and which(metadata["labels"]):
                api.delete("Namespace", metadata["name"])


def _is_gone(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, ValueError):
        pass
    return False
