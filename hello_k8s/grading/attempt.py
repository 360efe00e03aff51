"""One submission being graded for one lab: what its checks share, brought to life when a check first asks."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import hello_k8s
from hello_k8s.catalog import Lab
from hello_k8s.errors import ClusterError, EngineError, HelloError
from hello_k8s.grading import asking, replay
from hello_k8s.grading.asking import Answer
from hello_k8s.grading.building import build
from hello_k8s.grading.buildlog import base_names
from hello_k8s.grading.built import BuiltImage
from hello_k8s.grading.containers import Container
from hello_k8s.grading.crowding import crowded_out
from hello_k8s.grading.encodable import encodable, encodable_texts
from hello_k8s.grading.final import at_rest, rules_say
from hello_k8s.grading.ground import Ground
from hello_k8s.grading.limit import not_counted
from hello_k8s.grading.nonce import CLASS, nonce_of
from hello_k8s.grading.own import seed_of
from hello_k8s.grading.parts import Namespace, Objects, Submission
from hello_k8s.grading.slots import Slot
from hello_k8s.grading.verdict import CheckResult, Kind, Result, Texts, Unmet, worst
from hello_k8s.grading.waiting import eventually
from hello_k8s.language import both, t
from hello_k8s.machine.isolation import wait_for_quota
from hello_k8s.progress import SILENT, Progress

if TYPE_CHECKING:
    from hello_k8s.machine.cluster import Cluster
    from hello_k8s.machine.engine import Engine
    from hello_k8s.machine.kubeapi import KubeApi
    from hello_k8s.machine.nested import Nested

T = TypeVar("T")
Mode = Literal["look", "replay"]

#: Seconds that building one image may take.
BUILD_SECONDS = 300.0
#: The same in a class, where nobody waits for one that only burns time; an honest build takes a few seconds.
CLASS_BUILD_SECONDS = 120.0
#: Seconds for which a look waits for the learner's own workloads, as long as waiting may help.
STARTING_SECONDS = 10.0
#: What waits for these only waits for nothing more once Pods and EndpointSlices are at rest.
_ABOUT_PODS = {"Pod", "Deployment", "ReplicaSet", "StatefulSet", "Service", "EndpointSlice"}
#: Seconds for which what was seen in the namespace is still true, and that the lab's own objects were as given.
_SEEN_SECONDS, _LOOKED_SECONDS = 2.0, 1.0


class Attempt:
    """The grading of one folder. `close` it always: what replay made is removed then."""

    def __init__(
        self,
        lab: Lab,
        folder: Path,
        *,
        mode: Mode,
        kind: Kind,
        seed: int = 0,
        ground: Ground | None = None,
        progress: Progress = SILENT,
    ) -> None:
        self.lab = lab
        self.folder = folder
        self.mode = mode
        self.kind = kind
        self.seed = seed or seed_of(folder, kind)
        self.progress = progress
        self.ground = ground or Ground(progress=progress)
        self.id = secrets.token_hex(4)
        self.started = datetime.now(UTC)
        self.files = replay.deliverables(lab, folder, kind)
        self.nonce = nonce_of(lab, self.files)
        self.rewrites: list[str] = []
        self.drift: tuple[Texts, ...] = ()
        self.problems: list[Texts] = []
        self.asked: set[str] = set()
        self.applied: list[dict[str, Any]] = []
        self._slot: Slot | None = None
        self._tampered: Exception | None = None
        self._looked = -_LOOKED_SECONDS
        self._begun = time.monotonic()
        self._seen: tuple[float, frozenset[str], list[Texts]] = (0.0, frozenset(), [])
        self._once: dict[str, tuple[bool, Any]] = {}
        self._containers: list[Container] = []
        self._closing = contextlib.ExitStack()
        self._cleared = ""
        self._crowded = ""

    # -- once, whoever asks first

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` returned or raised the first time: a build that failed fails every check that needs it."""
        if name not in self._once:
            try:
                with not_counted():
                    self._once[name] = (True, make())
            except Exception as error:
                self._once[name] = (False, error)
        good, value = self._once[name]
        if not good:
            raise value.with_traceback(None)
        return value

    @property
    def submission(self) -> Submission:
        if self.mode == "look":
            return Submission(self.folder, "")
        return Submission(self.once("files", self._lay_out), self.nonce)

    def _lay_out(self) -> Path:
        target = Path(tempfile.mkdtemp(prefix="hello-k8s-"))
        self._closing.callback(shutil.rmtree, target, ignore_errors=True)
        self.rewrites += replay.lay_out(self.lab, self.files, self.nonce, target)
        return target

    # -- Docker

    @property
    def nested(self) -> Nested:
        return self.ground.nested

    def engine(self) -> Engine:
        """The nested engine, up, with the lab's images in it."""
        return self.once("engine", lambda: self.nested.up(self.lab.images, self.progress))

    def images(self) -> Mapping[str, BuiltImage]:
        """The images of `replay.build`, built."""
        return self.once("images", self._build)

    def _build(self) -> dict[str, BuiltImage]:
        folder = self.submission.folder
        engine = self.engine()
        built = {}
        for tag, dockerfile in self.lab.replay.build.items():
            if PurePosixPath(dockerfile) not in self.files:
                raise Unmet(both("grading.file_missing", file=dockerfile))
            built[tag] = self._image(engine, folder, tag, dockerfile, self.id)
        self._cleared = self.nested.cleared
        return built

    def _image(self, engine: Engine, folder: Path, tag: str, dockerfile: str, name: str) -> BuiltImage:
        own = f"{tag}-{name}" if ":" in tag else f"{tag}:{name}"
        self._closing.callback(engine.run, "image", "rm", "--force", own, check=False)
        build(
            self.nested,
            folder,
            own,
            dockerfile,
            images=self.lab.images,
            seconds=CLASS_BUILD_SECONDS if os.environ.get(CLASS) else BUILD_SECONDS,
            owner=hashlib.sha256(str(self.folder).encode()).hexdigest()[:16],
            secrets={each: (folder / file).read_text().strip() for each, file in self.lab.replay.secrets.items()},
        )
        self.rewrites.append(f"{tag} → {own}")
        return BuiltImage(engine, own)

    def rebuild(self, file: str) -> tuple[BuiltImage, str]:
        """The one image of `replay.build`, built again with another nonce in `file`; and that nonce."""
        return self.once(f"rebuilt {file}", lambda: self._rebuild(file))

    def _rebuild(self, file: str) -> tuple[BuiltImage, str]:
        (image,) = self.images().values()
        ((tag, dockerfile),) = self.lab.replay.build.items()
        folder, nonce = Path(tempfile.mkdtemp(prefix="hello-k8s-")), secrets.token_hex(4)
        self._closing.callback(shutil.rmtree, folder, ignore_errors=True)
        shutil.copytree(self.submission.folder, folder, dirs_exist_ok=True)
        data = replay.stamp((folder / file).read_bytes(), self.lab.replay.stamp[file], nonce, file)
        (folder / file).write_bytes(data)
        rebuilt = self._image(image.engine, folder, tag, dockerfile, f"{self.id}-{nonce}")
        if self.nested.cleared != self._cleared:  # what it found in the cache isn't its own doing
            raise EngineError(("docker", "builder", "prune"), "", 0, what=t("building.cleared"))
        return rebuilt, nonce

    def run(self, image: BuiltImage, *arguments: str, options: tuple[str, ...] = ()) -> Container:
        """A container of `image`; removed after the check that asked for it."""
        name = f"hello-k8s-check-{self.id}-{len(self._containers)}-{secrets.token_hex(2)}"
        self._containers.append(Container(image.engine, name))
        control = next(iter(base_names(self.lab.images)), "")
        return Container.start(image.engine, image.tag, name, *arguments, options=options, control=control)

    def end_check(self) -> None:
        """Remove what one check started."""
        while self._containers:
            self._containers.pop().remove()

    # -- the cluster

    @property
    def cluster(self) -> Cluster:
        return self.ground.cluster

    @property
    def api(self) -> KubeApi:
        return self.ground.api

    def live(self) -> Namespace:
        """The namespace with the submission in it."""
        return self.once("live", self._look if self.mode == "look" else self._replay)

    def objects(self) -> Objects:
        return Objects(self.api, self.live().name)

    def _look(self) -> Namespace:
        from hello_k8s.grading.look import drift, written

        name = self.lab.namespace
        if self.api.read("Namespace", name) is None:
            raise ClusterError(
                t("grading.no_namespace", namespace=name), next=t("grading.no_namespace_next", lab=self.lab.id)
            )
        with contextlib.suppress(AssertionError):  # what was applied a moment ago is given the time to start
            replay.settle(self.api, name, written(self.lab, self.files), STARTING_SECONDS)
        self.drift = tuple(drift(self.lab, self.files, self.api))
        return Namespace(name, live=True)

    def _replay(self) -> Namespace:
        folder = self.submission.folder
        assert self.api  # says so where there is no cluster, before images are brought to its nodes
        images = self._images_on_nodes()
        slot = self._slot = self.ground.slot(self.lab) or self._new_slot(images)
        self._closing.callback(lambda: self.ground.keep(slot, self.applied))
        assert slot.user is not None
        self.applied, lines, problems = replay.apply_submission(
            self.lab, folder, slot.user, slot.name, images, slot.made_of_given
        )
        self.rewrites += [f"namespace: {self.lab.namespace} → {slot.name}", *lines]
        self.problems += problems
        if problems and not self.applied:
            raise Unmet(problems[0], evidence=[text["en"] for text in problems])
        try:
            replay.settle(self.api, slot.name, self.applied, self.lab.replay.settle, fresh=True)
        except AssertionError:  # what doesn't run is for the checks to say
            if scheduler := self.crowded_out():
                raise Unmet(both("grading.crowded_out"), evidence=[scheduler]) from None
        if wrong := self.tampered():
            raise wrong
        return Namespace(slot.name, live=False)

    def tampered(self) -> Exception | None:
        """What says that the submission has changed the lab's own objects, or why that can't be seen; else None."""
        now = time.monotonic()
        if self._slot and self._tampered is None and now - self._looked > _LOOKED_SECONDS:
            self._looked, self._tampered = now, self._slot.tampered(self.applied)
        return self._tampered

    def _new_slot(self, images: Mapping[str, str]) -> Slot:
        """A namespace with the lab's own objects in it and an account for the submission."""
        slot = Slot(self.lab, self.api)
        labels = {replay.REPLAY_LABEL: "true"}
        if run := os.environ.get(CLASS):
            labels |= {replay.CLASS_LABEL: run, replay.WORKER_LABEL: str(os.getpid())}
        try:
            self.cluster.prepare_namespace(slot.name, labels=labels)
            replay.remove_leftovers(self.api, slot.name)
            replay.apply_given(self.lab, self.api, slot.name, images)
            wait_for_quota(self.api, slot.name)
            slot.remember(replay.prepare_account(self.api, slot.name), replay.given_objects(self.lab))
        except BaseException:
            slot.discard()
            raise
        return slot

    def _images_on_nodes(self) -> dict[str, str]:
        """The lab's images on every node, and the submission's own: tag in lab.toml → tag on the nodes."""
        from hello_k8s.machine import loading

        if not self.lab.replay.build:
            self.ground.load_images(self.lab)
        built = self.images() if self.lab.replay.build else {}
        for image in built.values():
            self._closing.callback(loading.remove, image.tag, self.cluster.engine, self.cluster.nodes())
            self.cluster.load([image.tag], image.engine, self.progress)
        return {tag: image.tag for tag, image in built.items()}

    # -- what checks do

    def http(
        self, target: Container | str, path: str = "/", n: int = 1, timeout: float = 5, *, port: int = 8080
    ) -> list[Answer]:
        """Ask `target` `n` times; see the fixture `http`."""
        if isinstance(target, Container):
            return asking.container(self.nested, target, path, n, timeout, port)
        if target.startswith("pod/"):
            return self._ask_pod(target.removeprefix("pod/"), path, n, timeout, port)
        return self._ask_service(target, path, n, timeout)

    def _ask_service(self, target: str, path: str, n: int, timeout: float) -> list[Answer]:
        name, _, port = target.partition(":")
        self.asked.add(name)
        # The dot at the end keeps the resolver from trying the search domains of the probe's own namespace first.
        return self.fetch(f"http://{name}.{self.live()}.svc.cluster.local.:{port or 80}{path}", n, timeout)

    def _ask_pod(self, name: str, path: str, n: int, timeout: float, port: int) -> list[Answer]:
        address = self.objects().get("Pod", name)["status"].get("podIP")
        if not address:
            raise Unmet(both("grading.no_pod_address", pod=name))
        return self.fetch(f"http://{address}:{port}{path}", n, timeout)

    def fetch(self, url: str, n: int, timeout: float) -> list[Answer]:
        """Ask `url` from inside the cluster. Raises ClusterError where that doesn't work."""
        return asking.inside(self.cluster, self.api, url, n, timeout)

    def eventually(self, fn: Callable[[], T], within: float = 10, on: tuple[str, ...] = ("Pod", "EndpointSlice")) -> T:
        """See the fixture `eventually`."""
        if not self.lab.on_cluster:
            return eventually(fn, within)
        name = self.live().name
        # A look may be at a roll-out that the learner has just started; a replay's objects are all there.
        rest = None if self.mode == "look" or not set(on) <= _ABOUT_PODS else lambda: at_rest(self.api, name)
        return eventually(fn, within, self.api, name, on, rest, rules_say(self.cluster, self.api, name))

    # -- the end

    def crowded_out(self) -> str:
        """What the scheduler said where others' Pods had taken the room that this submission's needed; else empty."""
        if self._slot is not None and not self._crowded:
            with contextlib.suppress(HelloError):  # a look that fails must not hide the failure
                self._crowded = crowded_out(self.api, self._slot.name, self._slot.own_pods)
        return self._crowded

    def causes(self, error: BaseException) -> tuple[Texts, ...]:
        """The causes of `error` that can be observed; none where nothing can be seen."""
        found = [*(error.diagnosis if isinstance(error, Unmet) else ()), *self.problems]
        if self.lab.on_cluster and self._once.get("live", (False,))[0]:
            with contextlib.suppress(Exception):  # a diagnosis that fails must not hide the failure
                found += self._observed()
        return tuple({text["en"]: text for text in found}.values())

    def _observed(self) -> list[Texts]:
        from hello_k8s.grading.diagnosis import observe

        asked = frozenset(self.asked)
        when, before, texts = self._seen
        if before != asked or time.monotonic() - when > _SEEN_SECONDS:
            texts = observe(self)
            self._seen = (time.monotonic(), asked, texts)
        return texts

    def result(self, checks: tuple[CheckResult, ...]) -> Result:
        """The result, with what every check of this attempt has in common."""
        return Result(
            lab=self.lab.id,
            kind=self.kind,
            mode=self.mode,
            started=self.started.isoformat(timespec="seconds"),
            checks=checks,
            seconds=time.monotonic() - self._begun,
            version=hello_k8s.__version__,
            files={name.as_posix(): _digest(file) for name, file in self.files.items()},
            drift=tuple(map(encodable_texts, self.drift)),
            rewrites=tuple(map(encodable, self.rewrites)),
        )

    def close(self) -> None:
        """Remove everything that this grading made. Never raises: the verdicts stand."""
        with contextlib.suppress(Exception):
            self.end_check()
        while True:
            try:
                self._closing.close()
                return
            except Exception:
                continue


def _digest(file: Path) -> str:
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def merged(old: CheckResult, new: CheckResult) -> CheckResult:
    """One check's result out of two of its items: the worse verdict, what both said."""
    verdict = worst((old.verdict, new.verdict))
    said = old if old.verdict == verdict and old.message["en"] else new
    return replace(said, verdict=verdict, seconds=old.seconds + new.seconds, output=old.output + new.output)
