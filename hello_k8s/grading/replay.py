"""Bringing deliverables to life from scratch: a fresh copy, a build, a namespace; and everything removed again."""

from __future__ import annotations

import codecs
import functools
import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hello_k8s.catalog import Lab
from hello_k8s.errors import ClusterError
from hello_k8s.grading.manifests import LIMIT_BYTES, read_manifests, rewrite, title
from hello_k8s.grading.verdict import Unmet
from hello_k8s.grading.waiting import eventually
from hello_k8s.language import both, t
from hello_k8s.machine import isolation
from hello_k8s.machine.kubeapi import ApiError, KubeApi
from hello_k8s.machine.ready import is_ready, seconds_of

if TYPE_CHECKING:
    from hello_k8s.grading.verdict import Kind, Texts

REPLAY_LABEL = isolation.REPLAY_LABEL
#: Which class a throw-away namespace belongs to: what a killed run left is found by it.
CLASS_LABEL = "hello-k8s.org/class"
#: The process that made it for a class: where that was killed, the class removes it.
WORKER_LABEL = "hello-k8s.org/worker"
#: Seconds after which a namespace of a grading that was killed is somebody's leftover.
_LEFTOVER = 3600
#: Seconds that a Pod may run without being ready, after what its probes take, until nobody waits for it any longer;
#: and the most that its probes may take.
_RUNNING_ENOUGH, _PROBES_AT_MOST = 5, 30
_WORKLOADS = ("Deployment", "StatefulSet", "ReplicaSet", "DaemonSet")
#: On a given Pod that is meant never to become ready: it only has to run.
NEVER_READY = "hello-k8s.org/never-ready"
_EXAMPLES = re.compile(r",?\s*\((?:e\.g\. [^)]*|regex used for validation is )'.*?'\)", re.DOTALL)
#: How a refusal begins that has nothing to do with what is in the manifest.
_OURS = re.compile(
    r'[^ ]+(?: "[^" ]*")? is forbidden: (?:User "[^" ]*" cannot impersonate |not yet ready to handle request'
    r"|unable to create new content in namespace [^ ]+ because it is being terminated|status unknown for quota: )"
)
#: Seconds to wait before the next try where the API server only couldn't do it at that moment.
_PAUSES = (0.2, 0.4, 0.8, 1.6)
_SYNTAX = re.compile(rb"^#\s*syntax\s*=.*$", re.IGNORECASE | re.MULTILINE)
#: A waiting container with one of these reasons will not start by waiting longer.
STUCK = frozenset({
    "ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CrashLoopBackOff",
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError",
})  # fmt: skip


# -- files


def deliverables(lab: Lab, folder: Path, kind: Kind) -> dict[PurePosixPath, Path]:
    """The deliverables that are there: name → file. For a mutant, the solution's where it has none of its own.

    Links and what leads out of `folder` count as not there: a submission is files.
    """
    found: dict[PurePosixPath, Path] = {}
    for name in lab.deliverables:
        for base in (folder, lab.solution) if kind == "mutant" else (folder,):
            file = base / name
            if file.is_file() and file.resolve() == base.resolve() / name:
                found[PurePosixPath(name)] = file
                break
    return found


def decisive_bytes(file: Path) -> bytes:
    """What decides about a deliverable: one beyond the limit is refused unread, so no more than that is read."""
    with file.open("rb") as stream:
        return stream.read(LIMIT_BYTES + 1)


def lay_out(lab: Lab, files: Mapping[PurePosixPath, Path], nonce: str, target: Path) -> list[str]:
    """Write a fresh copy of the lab's start into `target` with only `files` laid over it; stamp the nonce.

    A deliverable that wasn't submitted is not there: the start's own, full of blanks, is nobody's answer.
    Returns what was rewritten. Raises Unmet for a deliverable that is too large.
    """
    notes = []
    start = {name: file for name, file in lab.files().items() if name.as_posix() not in lab.deliverables}
    for name, file in {**start, **files}.items():
        if file.stat().st_size > LIMIT_BYTES and name in files:
            raise Unmet(both("grading.file_too_large", file=name, bytes=LIMIT_BYTES))
        data = file.read_bytes()
        if name.as_posix() in lab.replay.stamp:
            data = stamp(data, lab.replay.stamp[name.as_posix()], nonce, name.as_posix())
        if name.as_posix() in lab.replay.build.values():
            data, gone = without_syntax(data)
            notes += [f"{name}: {line} → #" for line in gone]
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)
    return notes


def stamp(data: bytes, pattern: str, nonce: str, name: str) -> bytes:
    """`data` with the one group of `pattern` replaced by `nonce`; Unmet where the learner's file has no such place."""
    match = re.search(pattern.encode(), data, re.MULTILINE)
    if match is None:
        raise Unmet(both("grading.no_place_to_stamp", file=name, pattern=pattern))
    return data[: match.start(1)] + nonce.encode() + data[match.end(1) :]


def without_syntax(data: bytes) -> tuple[bytes, list[str]]:
    """A Dockerfile without its `# syntax=` line (line numbers kept): it asks a registry for BuildKit's own frontend."""
    head, dockerfile = [], data.removeprefix(codecs.BOM_UTF8).splitlines(keepends=True)
    while dockerfile and (dockerfile[0].lstrip().startswith(b"#") or not dockerfile[0].strip()):
        head.append(dockerfile.pop(0))
    top = b"".join(head)
    gone = [line.decode(errors="replace").strip() for line in _SYNTAX.findall(top)]
    return _SYNTAX.sub(b"#", top) + b"".join(dockerfile), gone


# -- manifests


def given_objects(lab: Lab) -> list[dict[str, Any]]:
    """The objects of the lab's own manifests (`replay.given`), in order."""
    files = lab.files()
    return [
        obj
        for name in lab.replay.given
        for obj in read_manifests(files.get(PurePosixPath(name), lab.folder / name), name)
    ]


def apply_given(lab: Lab, api: KubeApi, namespace: str, images: Mapping[str, str] | None = None) -> None:
    """Apply the lab's own manifests in `namespace` and wait until they are as the lab describes.

    At most `replay.settle` seconds: Deployments available, Pods ready or (those that never are) running.
    Raises ClusterError: that they don't settle is never the learner's doing.
    """
    objects = given_objects(lab)
    for obj in objects:
        changed, _ = rewrite(obj, lab.namespace, namespace, images)
        _patiently(functools.partial(api.apply, changed, namespace), namespace)
    try:
        settle(api, namespace, objects, lab.replay.settle, patient=True, fresh=True)
    except AssertionError as late:
        raise ClusterError(
            t("grading.given_not_settled", lab=lab.id, seconds=lab.replay.settle),
            why=str(late),
            next=t("grading.given_next", namespace=namespace),
        ) from None


def prepare_account(api: KubeApi, namespace: str) -> KubeApi:
    """The API as the submission: a user who can create objects in `namespace` and do nothing else anywhere.

    Nothing has to be made for it: rights and their bounds are the cluster's (machine/data/admission.yaml).
    """
    return api.as_user(isolation.submitter(namespace), isolation.SUBMISSIONS)


def apply_submission(
    lab: Lab, folder: Path, user: KubeApi, namespace: str, images: Mapping[str, str], kept: Iterable[str] = ()
) -> tuple[list[dict[str, Any]], list[str], list[Texts]]:
    """Apply the submission's manifests as `kubectl apply` would: what is refused doesn't hold up the rest.

    What is given can't be replaced, nor what has a title among `kept`. Returns the objects that are there now, what was
    rewritten, and why something was refused.
    """
    given = {*kept, *(title(obj) for obj in given_objects(lab))}
    applied: list[dict[str, Any]] = []
    notes: list[str] = []
    problems: list[Texts] = []
    for name in lab.replay.apply:
        try:
            objects = read_manifests(folder / name, name)
        except Unmet as wrong:
            problems.append(wrong.texts)
            continue
        for obj in objects:
            try:
                changed, lines = rewrite(obj, lab.namespace, namespace, images)
                if title(obj) in given:
                    raise Unmet(both("grading.is_given", file=name, object=title(obj)))
                _apply_one(changed, user, namespace, name)
            except Unmet as wrong:
                problems.append(wrong.texts)
                continue
            applied.append(changed)
            notes += lines
    return applied, notes, problems


def _apply_one(obj: dict[str, Any], user: KubeApi, namespace: str, name: str) -> None:
    try:
        if not user.resource(obj["kind"], obj["apiVersion"]).namespaced:
            raise Unmet(both("grading.cluster_scoped", file=name, object=title(obj)))
        _patiently(lambda: _create_or_change(obj, user, namespace), namespace)
    except ApiError as refused:
        raise refused_by_server(refused, name, title(obj), namespace) from None


def _patiently(change: Callable[[], object], namespace: str) -> None:
    """Call `change`; some times more where the API server only couldn't do it at that moment."""
    for pause in (*_PAUSES, 0.0):
        try:
            change()
            return
        except ApiError as refused:
            if not pause or not _is_the_servers(refused, namespace):
                raise
            time.sleep(pause)


def _create_or_change(obj: dict[str, Any], user: KubeApi, namespace: str) -> None:
    try:
        user.create(obj, namespace)
    except ApiError as refused:
        if refused.reason != "AlreadyExists":
            raise
        user.apply(obj, namespace)


def _is_the_servers(error: ApiError, namespace: str) -> bool:
    """Whether the API server couldn't do it now (others count against the same quota, its rules aren't loaded yet) or
    not here (the namespace is going, we lost our rights). Whole beginnings: a manifest's own words may be quoted later.
    """
    if error.status == 409:
        return error.reason == "Conflict" and error.message.startswith("Operation cannot be fulfilled on ")
    if error.status == 404:
        return error.message == f'namespaces "{namespace}" not found'
    return error.status == 403 and _OURS.match(error.message) is not None


def refused_by_server(error: ApiError, name: str, what: str, namespace: str) -> Unmet:
    """The Unmet for a manifest that the API server refused. Raises `error` again where the manifest isn't the cause."""
    if _is_the_servers(error, namespace):
        raise error
    typed = "failed to create typed patch object" in error.message or "field not declared in schema" in error.message
    if error.status not in (400, 403, 404, 409, 413, 415, 422) and not (error.status == 500 and typed):
        raise error
    if (told := isolation.refusal(error.message)) is not None:
        return Unmet(in_both("grading.refused", told, file=name, object=what), evidence=[plain(error.message)])
    if error.status == 403 and f'"{isolation.submitter(namespace)}"' in error.message:
        return Unmet(both("grading.not_allowed", file=name, object=what), evidence=[error.message])
    return Unmet(both("grading.refused", file=name, object=what, message=plain(error.message)))


def in_both(key: str, message: Texts, **values: object) -> Texts:
    """`both`, with a `message` that is a sentence in each language itself."""
    return {language: t(key, language, message=sentence, **values) for language, sentence in message.items()}


def plain(message: str) -> str:
    """The API server's message without its examples and regular expressions, and not longer than can be read."""
    message = _EXAMPLES.sub("", message)
    return message if len(message) <= 300 else message[:299] + "…"


# -- settling


def settle(
    api: KubeApi,
    namespace: str,
    objects: list[dict[str, Any]],
    seconds: float,
    *,
    patient: bool = False,
    fresh: bool = False,
) -> None:
    """Wait until the workloads among `objects` run. Raises AssertionError, what is missing, after `seconds`.

    Without `patient`, returns as soon as it is clear that waiting longer won't help. `fresh`: none of them was there
    before, so that how long they run is measured here and not taken from two clocks, either of which may jump.
    """
    wanted = {title(obj) for obj in objects if obj["kind"] in ("Pod", *_WORKLOADS)}
    if not wanted:
        return
    kinds = sorted({name.split("/")[0] for name in wanted} - {"Pod"})

    first_seen: dict[tuple[str, ...], float] = {}

    def running(pod: Mapping[str, Any]) -> float:
        if not fresh or not _started(pod):
            return _running_for(pod)
        now = time.monotonic()
        return now - first_seen.setdefault((pod["metadata"]["name"], *_started(pod)), now)

    def settled() -> None:
        pods = [pod for pod in api.list("Pod", namespace) if owner_of(pod) in wanted]
        waited_for = wanted - {owner_of(pod) for pod in pods if not patient and is_stuck(pod, running(pod))}
        for workload in (obj for kind in kinds for obj in api.list(kind, namespace)):
            if title(workload) in waited_for:
                assert is_rolled_out(workload) or (not patient and _failed(workload)), title(workload)
        for pod in pods:
            if title(pod) in waited_for:
                assert _runs(pod, running(pod)), title(pod)

    eventually(settled, seconds, api, namespace, ("Pod", *kinds))


def owner_of(pod: Mapping[str, Any]) -> str:
    """`Deployment/back` for a Pod that a Deployment's ReplicaSet made, its other owner's title, or its own."""
    of_deployment = (pod["metadata"].get("labels") or {}).get("pod-template-hash")
    for owner in pod["metadata"].get("ownerReferences", ()):
        if owner["kind"] == "ReplicaSet" and of_deployment and owner["name"].endswith(f"-{of_deployment}"):
            return f"Deployment/{owner['name'].rpartition('-')[0]}"
        return f"{owner['kind']}/{owner['name']}"
    return f"Pod/{pod['metadata']['name']}"


def is_rolled_out(workload: Mapping[str, Any]) -> bool:
    """Whether every Pod is of the newest version and available, none of an older one left: as `kubectl rollout status`
    sees it. While old Pods answer, what is seen isn't what the manifest says.
    """
    status = workload.get("status", {})
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        return False
    if workload.get("kind") == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        return bool(wanted <= min(status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)))
    total = status.get("replicas", 0)
    updated = total if workload.get("kind") == "ReplicaSet" else status.get("updatedReplicas", 0)
    return bool(
        workload["spec"].get("replicas", 1) <= updated and total <= updated <= status.get("availableReplicas", 0)
    )


def _failed(workload: dict[str, Any]) -> bool:
    conditions = workload.get("status", {}).get("conditions", ())
    return any(c["type"] == "ReplicaFailure" and c["status"] == "True" for c in conditions)


def is_stuck(pod: Mapping[str, Any], running: float) -> bool:
    """Whether a container waits for something that won't come, or the Pod has been `running` (seconds) for long
    without being ready.
    """
    for status in pod["status"].get("containerStatuses", ()):
        if status.get("state", {}).get("waiting", {}).get("reason") in STUCK:
            return True
    return not is_ready(pod) and running > _RUNNING_ENOUGH + _probing(pod)


def _runs(pod: dict[str, Any], running: float) -> bool:
    if pod["status"].get("phase") in ("Succeeded", "Failed") or is_ready(pod):
        return True
    if NEVER_READY in pod["metadata"].get("annotations", {}):
        return bool(_started(pod))
    return running > _RUNNING_ENOUGH + _probing(pod)


def _probing(pod: Mapping[str, Any]) -> float:
    """Seconds until a program that is fine is called ready, by what its probes ask for."""
    slowest = 0
    for container in pod.get("spec", {}).get("containers", ()):
        probes = [container[name] for name in ("startupProbe", "readinessProbe") if container.get(name)]
        each = [
            probe.get("initialDelaySeconds", 0) + probe.get("periodSeconds", 10) * probe.get("successThreshold", 1)
            for probe in probes
        ]
        slowest = max(slowest, sum(each))
    return min(slowest, _PROBES_AT_MOST)


def _started(pod: Mapping[str, Any]) -> tuple[str, ...]:
    """When each of the Pod's containers started; nothing where one doesn't run."""
    states = [status.get("state", {}) for status in pod["status"].get("containerStatuses", ())]
    moments = tuple(state.get("running", {}).get("startedAt", "") for state in states)
    return moments if all(moments) else ()


def _running_for(pod: Mapping[str, Any]) -> float:
    """Seconds since the last of the Pod's containers started; 0 where one doesn't run."""
    started = _started(pod)
    return time.time() - max(map(seconds_of, started)) if started else 0.0


def remove_leftovers(api: KubeApi, made: str) -> None:
    """Delete the namespaces of gradings that were killed more than an hour before the namespace `made` was made: by
    the API server's clock, since ours may jump.

    Not those of a class: it uses one for as long as it lasts, and removes what a killed run of it left by itself.
    """
    if (own := api.read("Namespace", made)) is None:
        return
    now = seconds_of(own["metadata"]["creationTimestamp"])
    for namespace in api.list("Namespace", labels=f"{REPLAY_LABEL}=true,!{CLASS_LABEL}"):
        if now - seconds_of(namespace["metadata"]["creationTimestamp"]) > _LEFTOVER:
            api.delete("Namespace", namespace["metadata"]["name"])
