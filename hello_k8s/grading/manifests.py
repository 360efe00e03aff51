"""A submission's manifests: read, and rewritten just so far that they can live beside others."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from hello_k8s.grading.verdict import Texts, Unmet
from hello_k8s.language import both

Object = dict[str, Any]

#: A deliverable is a text that a person wrote: more bytes than this are a mistake or an attack.
LIMIT_BYTES = 1 << 20
#: The same for a manifest, in values after aliases; a long text counts as one for every so many characters of it.
LIMIT_VALUES = 50_000
_CHARACTERS = 64
LIMIT_DOCUMENTS = 200
LIMIT_OBJECTS = 200
_LIMIT_DEPTH = 100
#: Characters of a value that says `!!int` or the like of itself: reading one takes time in the square of its length.
_LIMIT_TAGGED = 100
#: Characters of a value that a note about a rewrite quotes.
_NOTE = 300
#: What the API's JSON can carry as a whole number.
_INTEGERS = range(-(2**63), 2**64)
#: The class of a LoadBalancer Service in a throw-away namespace: no controller serves it, so no address is taken.
NO_LOAD_BALANCER = "hello-k8s.org/none"
_TAG = "tag:yaml.org,2002:"
#: What the server writes into metadata and nobody else may: there in a manifest made by `kubectl get -o yaml`.
_SERVERS_OWN = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
_SPACE = re.compile(r"\s*")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as Kubernetes reads it: a date and a `1:30` are strings, `1e3` is a number."""


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    numbers = ("int", "float", "timestamp")
    kept = {
        first: [(tag, pattern) for tag, pattern in found if tag not in [_TAG + name for name in numbers]]
        for first, found in _Loader.yaml_implicit_resolvers.items()
    }
    whole = re.compile(r"[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)\Z")
    broken = re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z|[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z"
    )
    for first in "-+.0123456789":
        kept[first] = [*kept.get(first, ()), (f"{_TAG}int", whole), (f"{_TAG}float", broken)]
    return kept


_Loader.yaml_implicit_resolvers = _resolvers()


def read_manifests(file: Path, name: str) -> list[Object]:
    """The objects in `file` (called `name` in messages), `kind: List` taken apart.

    Raises Unmet where it is missing, no UTF-8, no YAML (with line and column), or holds what is no object or too many.
    """
    objects: list[Object] = []
    for document in read_documents(file, name):
        for value in _values(document):
            if not _is_json(value):
                raise Unmet(both("grading.not_yaml", file=name, problem=_shown(value)))
        for item in _objects(document, name):
            if len(objects) == LIMIT_OBJECTS:
                raise Unmet(both("isolation.too_many_objects", file=name, limit=LIMIT_OBJECTS))
            objects.append(item)
    if not objects:
        raise Unmet(both("grading.file_empty", file=name))
    return objects


def read_documents(file: Path, name: str) -> list[Any]:
    """The YAML documents in `file` that aren't empty, looked through first: nothing in it is too much to build.

    Raises Unmet where it is missing, no UTF-8, or no YAML (with line and column).
    """
    try:
        data = file.read_bytes()
    except OSError:
        raise Unmet(both("grading.file_missing", file=name)) from None
    if len(data) > LIMIT_BYTES:
        raise Unmet(both("grading.file_too_large", file=name, bytes=LIMIT_BYTES))
    try:
        text = _documents(data.decode("utf-8-sig"))
        _look_through(text, name)
        documents = list(yaml.load_all(text, Loader=_Loader))  # a safe loader
    except UnicodeDecodeError as error:
        raise Unmet(both("grading.not_utf8", file=name, position=error.start)) from None
    except RecursionError:
        raise Unmet(both("grading.too_many_values", file=name)) from None
    except yaml.YAMLError as error:
        raise Unmet(_where(error, name)) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # `0x_`, `!!bool x`: PyYAML checks no value
        raise Unmet(both("grading.not_yaml", file=name, problem=_first_line(error))) from None
    return [document for document in documents if document is not None]


def _documents(text: str) -> str:
    """`text`, JSON objects one after another (`jq '.items[]'`) taken apart: kubectl reads them, YAML knows only one."""
    if not text.lstrip().startswith("{"):
        return text
    decoder, pieces, at = json.JSONDecoder(), [], 0
    while (begin := _SPACE.match(text, at).end()) < len(text):  # type: ignore[union-attr]
        try:
            at = decoder.raw_decode(text, begin)[1]
        except ValueError:
            return text
        pieces.append(text[begin:at])
    return "\n---\n".join(pieces)


class _Open:
    """A mapping or list that has begun: how many values it holds so far, and the keys that it has had."""

    def __init__(self, mapping: bool, anchor: str | None) -> None:
        self.anchor = anchor
        self.size = 1
        self.keys: set[str] | None = set() if mapping else None
        self.at_key = mapping


def _look_through(text: str, name: str) -> None:
    """Refuse, before anything is built, what would be too much to build and what no reader could mean."""
    documents = 0
    stack = [_Open(False, None)]  # the file itself: what its documents hold adds up
    sizes: dict[str, int] = {}  # anchor → values that an alias of it stands for
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            sizes.clear()
            if documents > LIMIT_DOCUMENTS:
                raise Unmet(both("isolation.too_many_documents", file=name, limit=LIMIT_DOCUMENTS))
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            stack.append(_Open(isinstance(event, yaml.MappingStartEvent), event.anchor))
            if len(stack) > _LIMIT_DEPTH + 1:
                raise Unmet(both("isolation.too_deep", file=name, **_at(event), limit=_LIMIT_DEPTH))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            done = stack.pop()
            if done.anchor:
                sizes[done.anchor] = done.size
            _count(stack, done.size, name)
        elif isinstance(event, yaml.AliasEvent):
            if any(outer.anchor == event.anchor for outer in stack):
                raise Unmet(both("isolation.refers_to_itself", file=name, **_at(event), anchor=event.anchor))
            _count(stack, sizes.get(event.anchor, 1), name)
        elif isinstance(event, yaml.ScalarEvent):
            _scalar(event, stack, name)
            size = 1 + len(event.value) // _CHARACTERS
            if event.anchor:
                sizes[event.anchor] = size
            _count(stack, size, name)


def _count(stack: list[_Open], values: int, name: str) -> None:
    stack[-1].size += values
    if stack[-1].keys is not None:
        stack[-1].at_key = not stack[-1].at_key
    if stack[-1].size > LIMIT_VALUES:
        raise Unmet(both("grading.too_many_values", file=name))


def _scalar(event: yaml.ScalarEvent, stack: list[_Open], name: str) -> None:
    if event.tag and event.tag != f"{_TAG}str" and len(event.value) > _LIMIT_TAGGED:
        raise Unmet(both("grading.not_yaml_at", file=name, **_at(event), problem=event.tag))
    if stack[-1].at_key and (keys := stack[-1].keys) is not None and event.value != "<<":
        if event.value in keys:
            raise Unmet(both("isolation.duplicate_key", file=name, **_at(event), key=_short(event.value)))
        keys.add(event.value)


def _at(event: yaml.Event) -> dict[str, int]:
    return {"line": event.start_mark.line + 1, "column": event.start_mark.column + 1}


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _where(error: yaml.YAMLError, name: str) -> Texts:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
    if mark is None:
        return both("grading.not_yaml", file=name, problem=problem)
    return both("grading.not_yaml_at", file=name, line=mark.line + 1, column=mark.column + 1, problem=problem)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _objects(document: Any, name: str) -> Iterator[Object]:
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
    if not is_a_name(metadata["name"]):
        raise Unmet(both("isolation.bad_name", file=name, kind=document["kind"], name=_short(repr(metadata["name"]))))
    yield {**document, "metadata": {key: metadata[key] for key in metadata if key not in _SERVERS_OWN}}


def is_a_name(name: str) -> bool:
    """Whether the API could have an object of this name: a part of a path, with nothing in it that leads elsewhere."""
    return 0 < len(name) <= 253 and name not in (".", "..") and name.isprintable() and not set(name) & set("/% ")


def _values(value: Any) -> Iterator[Any]:
    """Every value in `value`, aliases each time: `_look_through` has counted them."""
    stack = [value]
    while stack:
        current = stack.pop()
        yield current
        if isinstance(current, dict):
            stack += current.values()
        elif isinstance(current, list):
            stack += current


def _is_json(value: Any) -> bool:
    """Whether the API could be sent `value`: no set, bytes or date that a YAML tag made, no number that is none."""
    if isinstance(value, dict):
        return all(key is None or (isinstance(key, str | int | float) and _is_json(key)) for key in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, list | str | bool) or (isinstance(value, int) and value in _INTEGERS)


def _shown(value: Any) -> str:
    """What a value is that can't be sent; one whole number may be longer than Python writes at all."""
    return "int" if isinstance(value, int) else _short(f"{type(value).__name__} {value!s}")


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
    if own not in (None, live, namespace):
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
            # what is listed under `namespaces` are references, too
            new = _string("namespace" if path.endswith(".namespaces") else str(key), item, live, namespace, images)
            if new != item:
                notes.append(f"{here}: {_short(item, _NOTE)} → {_short(new, _NOTE)}")
                value[key] = new


def _string(key: str, text: str, live: str, namespace: str, images: Mapping[str, str]) -> str:
    if key == "image":
        return images.get(text.removeprefix("docker.io/").removeprefix("library/"), text)
    if key == "namespace" and text == live:
        return namespace
    # back.ch2-service, back.ch2-service.svc, back.ch2-service.svc.cluster.local in any URL
    return re.sub(rf"(?<=[a-z0-9])\.{re.escape(live)}(?![a-z0-9-])", f".{namespace}", text)


def _service(spec: dict[str, Any], path: str, notes: list[str]) -> None:
    headless = spec.get("clusterIP") == "None"
    for field in ("clusterIP", "clusterIPs", "loadBalancerIP", "healthCheckNodePort"):
        if field in spec and not (headless and field in ("clusterIP", "clusterIPs")):
            notes.append(f"{path}.spec.{field}: {spec.pop(field)} → —")
    ports = spec.get("ports")
    for index, port in enumerate(ports if isinstance(ports, list) else ()):
        if isinstance(port, dict) and "nodePort" in port:
            notes.append(f"{path}.spec.ports[{index}].nodePort: {port.pop('nodePort')} → —")
    if spec.get("type") == "LoadBalancer":
        if spec.get("loadBalancerClass") == NO_LOAD_BALANCER and spec.get("allocateLoadBalancerNodePorts") is False:
            return
        notes.append(f"{path}.spec.loadBalancerClass: {spec.get('loadBalancerClass', '—')} → {NO_LOAD_BALANCER}")
        spec["loadBalancerClass"] = NO_LOAD_BALANCER
        spec["allocateLoadBalancerNodePorts"] = False
