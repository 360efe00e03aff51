"""A submission's manifests: read, and rewritten just so far that they can live beside others."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from hello_k8s.grading.verdict import Unmet
from hello_k8s.language import both

Object = dict[str, Any]

#: A manifest is written by hand: more than this is a mistake or an attack (in bytes; in values after aliases).
LIMIT_BYTES = 1 << 20
LIMIT_VALUES = 50_000
_LIMIT_DEPTH = 100
#: The class of a LoadBalancer Service in a throw-away namespace: no controller serves it, so no address is taken.
NO_LOAD_BALANCER = "hello-k8s.org/none"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as Kubernetes reads it: a date is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def read_manifests(file: Path, name: str) -> list[Object]:
    """The objects in `file` (called `name` in messages), `kind: List` taken apart.

    Raises Unmet where it is missing, no UTF-8, no YAML (with line and column), or holds what is no object.
    """
    try:
        data = file.read_bytes()
    except OSError:
        raise Unmet(both("grading.file_missing", file=name)) from None
    if len(data) > LIMIT_BYTES:
        raise Unmet(both("grading.file_too_large", file=name, bytes=LIMIT_BYTES))
    try:
        documents = list(yaml.load_all(data.decode("utf-8-sig"), Loader=_Loader))  # a safe loader
    except UnicodeDecodeError as error:
        raise Unmet(both("grading.not_utf8", file=name, position=error.start)) from None
    except RecursionError:
        raise Unmet(both("grading.too_many_values", file=name)) from None
    except yaml.YAMLError as error:
        raise Unmet(_where(error, name)) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # `0x_`, `!!bool x`: PyYAML checks no value
        raise Unmet(both("grading.not_yaml", file=name, problem=_first_line(error))) from None
    objects = [item for document in documents if document is not None for item in _objects(document, name)]
    if not objects:
        raise Unmet(both("grading.file_empty", file=name))
    return objects


def _where(error: yaml.YAMLError, name: str) -> dict[str, str]:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
    if mark is None:
        return both("grading.not_yaml", file=name, problem=problem)
    return both("grading.not_yaml_at", file=name, line=mark.line + 1, column=mark.column + 1, problem=problem)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _objects(document: Any, name: str) -> Iterator[Object]:
    for value in _values(document, name):
        if not _is_json(value):
            problem = f"{type(value).__name__} {str(value)[:60]}"
            raise Unmet(both("grading.not_yaml", file=name, problem=problem))
    if isinstance(document, dict) and document.get("kind") == "List" and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _objects(item, name)
        return
    if not isinstance(document, dict):
        raise Unmet(both("grading.no_object", file=name, got=type(document).__name__))
    for key in ("apiVersion", "kind"):
        if not isinstance(document.get(key), str):
            raise Unmet(both("grading.no_key", file=name, key=key))
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise Unmet(both("grading.no_key", file=name, key="metadata.name"))
    yield document


def _values(value: Any, name: str, depth: int = 0) -> Iterator[Any]:
    """Every value in `value`, aliases counted each time, until there are clearly too many."""
    stack = [(value, depth)]
    count = 0
    while stack:
        current, depth = stack.pop()
        count += 1
        if depth > _LIMIT_DEPTH or count > LIMIT_VALUES:
            raise Unmet(both("grading.too_many_values", file=name))
        yield current
        if isinstance(current, dict):
            stack += [(item, depth + 1) for item in current.values()]
        elif isinstance(current, list):
            stack += [(item, depth + 1) for item in current]


def _is_json(value: Any) -> bool:
    """Whether the API could be sent `value`: no set, bytes or date that a YAML tag made, no number that is none."""
    if isinstance(value, dict):
        return all(key is None or isinstance(key, str | int | float) for key in value)
    return value is None or isinstance(value, list | str | int) or (isinstance(value, float) and math.isfinite(value))


def title(obj: Mapping[str, Any]) -> str:
    """`Service/back`: how an object is called in messages."""
    return f"{obj.get('kind')}/{obj.get('metadata', {}).get('name')}"


def rewrite(
    obj: Object, live: str, namespace: str, images: Mapping[str, str] | None = None
) -> tuple[Object, list[str]]:
    """`obj`, written for the namespace `live`, so that it can live in `namespace`; and each change as a line.

    Changes what must not collide, nothing else: the namespace (also in references and DNS names), image tags
    (`images`: as written → as built), node ports, addresses, and the class of a LoadBalancer Service. Raises
    Unmet for an object that says it belongs to another namespace.
    """
    own = obj["metadata"].get("namespace")
    if own not in (None, live):
        raise Unmet(both("grading.other_namespace", object=title(obj), namespace=own, live=live))
    changed = copy.deepcopy(obj)
    notes: list[str] = []
    _walk(changed, title(obj), live, namespace, images or {}, notes)
    changed["metadata"]["namespace"] = namespace
    if obj["kind"] == "Service" and isinstance(changed.get("spec"), dict):
        _service(changed["spec"], title(obj), notes)
    return changed, notes


def _walk(value: Any, path: str, live: str, namespace: str, images: Mapping[str, str], notes: list[str]) -> None:
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for key, item in items:
        here = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}"
        if isinstance(item, (dict, list)):
            _walk(item, here, live, namespace, images, notes)
        elif isinstance(item, str):
            new = _string(str(key), item, live, namespace, images)
            if new != item:
                notes.append(f"{here}: {item} → {new}")
                value[key] = new


def _string(key: str, text: str, live: str, namespace: str, images: Mapping[str, str]) -> str:
    if key == "image":
        return images.get(text, text)
    if key == "namespace" and text == live:
        return namespace
    # back.ch2-service, back.ch2-service.svc, back.ch2-service.svc.cluster.local in any URL
    return re.sub(rf"(?<=[a-z0-9])\.{re.escape(live)}(?![a-z0-9-])", f".{namespace}", text)


def _service(spec: dict[str, Any], path: str, notes: list[str]) -> None:
    headless = spec.get("clusterIP") == "None"
    for field in ("clusterIP", "clusterIPs", "externalIPs", "loadBalancerIP", "healthCheckNodePort"):
        if field in spec and not (headless and field in ("clusterIP", "clusterIPs")):
            notes.append(f"{path}.spec.{field}: {spec.pop(field)} → —")
    ports = spec.get("ports")
    for index, port in enumerate(ports if isinstance(ports, list) else ()):
        if isinstance(port, dict) and "nodePort" in port:
            notes.append(f"{path}.spec.ports[{index}].nodePort: {port.pop('nodePort')} → —")
    if spec.get("type") == "LoadBalancer":
        notes.append(f"{path}.spec.loadBalancerClass: {spec.get('loadBalancerClass', '—')} → {NO_LOAD_BALANCER}")
        spec["loadBalancerClass"] = NO_LOAD_BALANCER
        spec["allocateLoadBalancerNodePorts"] = False
