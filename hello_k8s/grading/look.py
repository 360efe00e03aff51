"""How the live objects differ from the learner's files, so that nobody corrects a file and grades the old object."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from hello_k8s.catalog import Lab
from hello_k8s.grading.manifests import read_manifests, title
from hello_k8s.grading.replay import is_rolled_out, plain
from hello_k8s.grading.verdict import Texts, Unmet
from hello_k8s.language import both
from hello_k8s.machine.kubeapi import ApiError, KubeApi

_NAME = "hello-k8s-drift"
#: What the cluster fills in for itself, as (kind, field of spec): different in every object.
_ALLOCATED = {
    ("Service", "clusterIP"), ("Service", "clusterIPs"), ("Service", "healthCheckNodePort"), ("Pod", "nodeName"),
    ("PersistentVolumeClaim", "volumeName"), ("Job", "selector"),
}  # fmt: skip
_MANY = 6


def drift(lab: Lab, files: Mapping[PurePosixPath, Path], api: KubeApi) -> list[Texts]:
    """One sentence for each difference between the manifests among `files` and the lab's live namespace.

    The server itself says what an object from the file alone would be (a dry run under another name), so that
    defaults and spellings of the same quantity are no difference, and a field deleted from the file is one.
    """
    found: list[Texts] = []
    for name in lab.replay.apply:
        if PurePosixPath(name) not in files:
            found.append(both("grading.file_missing", file=name))
            continue
        try:
            objects = read_manifests(files[PurePosixPath(name)], name)
        except Unmet as wrong:
            found.append(wrong.texts)
            continue
        for obj in objects:
            found += _drift_of(obj, name, lab.namespace, api)
    return found


def written(lab: Lab, files: Mapping[PurePosixPath, Path]) -> list[dict[str, Any]]:
    """The objects in the manifests among `files` that can be read."""
    objects: list[dict[str, Any]] = []
    for name in lab.replay.apply:
        if PurePosixPath(name) in files:
            with contextlib.suppress(Unmet):
                objects += read_manifests(files[PurePosixPath(name)], name)
    return objects


def _drift_of(obj: dict[str, Any], name: str, namespace: str, api: KubeApi) -> Iterator[Texts]:
    own = obj["metadata"].get("namespace")
    if own not in (None, namespace):
        yield both("grading.other_namespace", object=title(obj), namespace=own, live=namespace)
        return
    try:
        live = api.read(obj["kind"], obj["metadata"]["name"], namespace)
        alone = copy.deepcopy(obj)
        alone["metadata"]["name"] = _NAME
        wanted = api.create(alone, namespace, dry_run=True)
    except ApiError as refused:
        message = plain(refused.message.replace(_NAME, obj["metadata"]["name"]))
        yield both("grading.refused", file=name, object=title(obj), message=message)
        return
    if live is None:
        yield both("grading.not_applied", file=name, object=title(obj), namespace=namespace)
        return
    different = list(differences(obj["kind"], wanted, live))
    if live["kind"] == "Deployment" and not is_rolled_out(live):
        yield both("grading.rolling", object=title(obj), namespace=namespace)
    if different:
        yield both(
            "grading.drift", file=name, object=title(obj), namespace=namespace, fields="; ".join(different[:_MANY])
        )


def differences(kind: str, wanted: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[str]:
    """`spec.ports[0].port: live 8080, file 80`, one for each field that differs between the two objects."""
    for section in ("spec", "data", "stringData", "binaryData", "rules"):
        yield from _compare(section, wanted.get(section), live.get(section), kind)
    for section in ("labels", "annotations"):
        mine, theirs = wanted["metadata"].get(section) or {}, live["metadata"].get(section) or {}
        for key in mine:
            yield from _compare(f"metadata.{section}.{key}", mine[key], theirs.get(key), kind)


def _compare(path: str, wanted: Any, live: Any, kind: str) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(live, dict):
        for key in sorted({*wanted, *live}):
            if not (path == "spec" and (kind, key) in _ALLOCATED) and key != "nodePort":
                yield from _compare(f"{path}.{key}", wanted.get(key), live.get(key), kind)
    elif isinstance(wanted, list) and isinstance(live, list):
        wanted, live = _without_token(wanted), _without_token(live)
        if len(wanted) == len(live):
            for index, (mine, theirs) in enumerate(zip(wanted, live, strict=True)):
                yield from _compare(f"{path}[{index}]", mine, theirs, kind)
        else:
            yield f"{path}: live {_short(live)}, file {_short(wanted)}"
    elif wanted != live:
        yield f"{path}: live {_short(live)}, file {_short(wanted)}"


def _without_token(items: list[Any]) -> list[Any]:
    """A Pod's list without the token that its ServiceAccount was given, under a name of chance."""
    return [i for i in items if not (isinstance(i, dict) and str(i.get("name", "")).startswith("kube-api-access-"))]


def _short(value: Any) -> str:
    text = "—" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
