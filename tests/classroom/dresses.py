"""Ways to write the same Kubernetes objects down. Each gives bytes that `kubectl apply -f` takes for the same thing."""

from __future__ import annotations

import codecs
import copy
import json
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import yaml

Object = dict[str, Any]
Dress = Callable[[Sequence[Object]], bytes]


class _Plain(yaml.SafeDumper):  # type: ignore[misc]
    """No anchors by chance: they are a spelling of their own."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Indented(_Plain):
    """Items of a list further in than the key that they belong to."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _yaml(objects: Sequence[Object], dumper: type = _Plain, **options: Any) -> str:
    options = {"sort_keys": False, "allow_unicode": True, "width": 1000, "default_flow_style": False, **options}
    return "---\n".join(yaml.dump(obj, Dumper=dumper, **options) for obj in objects)


def _list(objects: Sequence[Object]) -> Object:
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}


def _one(objects: Sequence[Object]) -> Object:
    return objects[0] if len(objects) == 1 else _list(objects)


def block(objects: Sequence[Object]) -> bytes:
    return _yaml(objects).encode()


def _indented(objects: Sequence[Object]) -> bytes:
    return _yaml(objects, _Indented, indent=4).encode()


def _flow(objects: Sequence[Object]) -> bytes:
    return _yaml(objects, default_flow_style=True).encode()


def _half_flow(objects: Sequence[Object]) -> bytes:
    """Flow style for what has nothing nested in it, as people write labels and ports."""
    return _yaml(objects, default_flow_style=None).encode()


def _quoted(objects: Sequence[Object]) -> bytes:
    """Every key and string quoted; numbers carry their tag, as they then must."""
    return _yaml(objects, default_style='"').encode()


def _canonical(objects: Sequence[Object]) -> bytes:
    return _yaml(objects, canonical=True).encode()


def _sorted(objects: Sequence[Object]) -> bytes:
    return _yaml(objects, sort_keys=True).encode()


def _reversed(objects: Sequence[Object]) -> bytes:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(list(value))}
        return [turned(item) for item in value] if isinstance(value, list) else value

    return _yaml([turned(obj) for obj in objects]).encode()


def _other_order(objects: Sequence[Object]) -> bytes:
    return _yaml(list(reversed(objects))).encode()


def _list_yaml(objects: Sequence[Object]) -> bytes:
    return _yaml([_list(objects)]).encode()


def _nested_list(objects: Sequence[Object]) -> bytes:
    return _yaml([_list([_list([obj]) for obj in objects])]).encode()


def _json(objects: Sequence[Object]) -> bytes:
    return json.dumps(_one(objects), indent=2).encode()


def _json_tabs(objects: Sequence[Object]) -> bytes:
    return json.dumps(_one(objects), indent="\t").encode() + b"\n"


def _json_compact(objects: Sequence[Object]) -> bytes:
    return json.dumps(_list(objects), separators=(",", ":")).encode()


def _json_documents(objects: Sequence[Object]) -> bytes:
    return "\n---\n".join(json.dumps(obj, indent=4) for obj in objects).encode()


def _json_stream(objects: Sequence[Object]) -> bytes:
    """One after another, as `jq '.items[]'` prints them."""
    return "".join(json.dumps(obj, indent=2) + "\n" for obj in objects).encode()


def _commented(objects: Sequence[Object]) -> bytes:
    lines = ["# yaml-language-server: $schema=kubernetes", "", "# 서비스와 디플로이먼트 ✓"]
    for number, line in enumerate(_yaml(objects).splitlines(), 1):
        lines += [line if line == "---" else f"{line}  # {number}", *(["", "      # ↓"] if number % 5 == 0 else [])]
    return "\n".join(lines).encode()


def _decomposed(objects: Sequence[Object]) -> bytes:
    """Comments as macOS writes Hangul, decomposed."""
    return unicodedata.normalize("NFD", f"# 내 답안\n{_yaml(objects)}# 끝\n").encode()


def _marked(objects: Sequence[Object]) -> bytes:
    """Every document with its beginning and end, empty ones between them."""
    between = "...\n---\n---\n"
    return f"%YAML 1.1\n---\n{between.join(_yaml([obj]) for obj in objects)}...\n---\n# nothing\n".encode()


def _crlf(objects: Sequence[Object]) -> bytes:
    return _yaml(objects).replace("\n", "\r\n").encode()


def _bom(objects: Sequence[Object]) -> bytes:
    return codecs.BOM_UTF8 + _yaml(objects).encode()


def _notepad(objects: Sequence[Object]) -> bytes:
    """As an editor on Windows leaves it: a BOM, CRLF, no end of line at the end."""
    return codecs.BOM_UTF8 + _crlf(objects).rstrip()


def _trailing(objects: Sequence[Object]) -> bytes:
    return "".join(f"{line}   \n" for line in _yaml(objects).splitlines()).encode() + b"\n\n   \n"


def _anchored(objects: Sequence[Object]) -> bytes:
    """What is written twice in an object is written once, with an anchor."""

    seen: dict[str, Any] = {}

    def shared(value: Any) -> Any:
        if isinstance(value, dict):
            value = {key: shared(item) for key, item in value.items()}
        elif isinstance(value, list):
            value = [shared(item) for item in value]
        else:
            return value
        return seen.setdefault(json.dumps(value), value)

    documents = []
    for obj in objects:
        seen.clear()
        documents.append(yaml.dump(shared(obj), Dumper=yaml.SafeDumper, sort_keys=False, default_flow_style=False))
    return "---\n".join(documents).encode()


def _merged(objects: Sequence[Object]) -> bytes:
    """Selector and labels by the merge key."""
    text = _yaml(objects)
    for start in ("      app: front\n  template:", "        app: front\n    spec:"):
        text = text.replace(start, start.replace("app: front", "<<: {app: front}"))
    return text.encode()


def _hexadecimal(objects: Sequence[Object]) -> bytes:
    return _yaml(objects).replace("port: 80\n", "port: 0x50\n").replace("Port: 8080\n", "Port: 0x1F90\n").encode()


def _tagged(objects: Sequence[Object]) -> bytes:
    return _yaml(objects).replace("kind: ", "kind: !!str ").replace("port: 80\n", "port: !!int 80\n").encode()


def _explicit_keys(objects: Sequence[Object]) -> bytes:
    text = _yaml(objects)
    return text.replace("\nmetadata:\n", "\n? metadata\n:\n").replace("\nspec:\n", "\n? spec\n:\n").encode()


def _folded(objects: Sequence[Object]) -> bytes:
    """The value of UPSTREAM as a block scalar."""
    lines = []
    for line in _yaml(objects).splitlines():
        head, colon, value = line.partition("value: ")
        if colon and "http" in value:
            lines += [f"{head}value: >-", f"{' ' * (len(head) + 2)}{value}"]
        else:
            lines.append(line)
    return "\n".join(lines).encode() + b"\n"


def _dry_run(objects: Sequence[Object]) -> bytes:
    """As `kubectl create … --dry-run=client -o yaml` prints it."""
    dressed = [copy.deepcopy(obj) for obj in objects]
    for obj in dressed:
        obj["metadata"]["creationTimestamp"] = None
        obj["status"] = {"loadBalancer": {}} if obj["kind"] == "Service" else {}
    return _yaml(dressed, sort_keys=True).encode()


def _exported(objects: Sequence[Object]) -> bytes:
    """As `kubectl get -o yaml` prints what is in the learner's own cluster."""
    dressed = [copy.deepcopy(obj) for obj in objects]
    for number, obj in enumerate(dressed):
        obj["metadata"] |= {
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(obj) + "\n"},
            "creationTimestamp": "2026-11-24T08:30:00Z",
            "generation": 1,
            "namespace": "ch2-service",
            "resourceVersion": str(4711 + number),
            "uid": f"2f0b9a4e-5a3c-4d39-9d7e-1f3a52b1c{number:03}",
        }
        if obj["kind"] == "Service":
            obj["spec"] |= {"clusterIP": "10.96.14.7", "clusterIPs": ["10.96.14.7"], "ipFamilies": ["IPv4"],
                            "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster"}  # fmt: skip
            obj["spec"].setdefault("sessionAffinity", "None")
            obj["spec"].setdefault("type", "ClusterIP")
            obj["status"] = {"loadBalancer": {}}
    return _yaml(dressed, sort_keys=True).encode()


#: How it is called → how it is written.
DRESSES: dict[str, Dress] = {
    "block": block,
    "indented by four": _indented,
    "flow": _flow,
    "half flow": _half_flow,
    "quoted": _quoted,
    "canonical": _canonical,
    "keys sorted": _sorted,
    "keys reversed": _reversed,
    "objects the other way round": _other_order,
    "List": _list_yaml,
    "List of Lists": _nested_list,
    "JSON": _json,
    "JSON with tabs": _json_tabs,
    "JSON List in one line": _json_compact,
    "JSON documents": _json_documents,
    "JSON stream": _json_stream,
    "comments": _commented,
    "decomposed Hangul": _decomposed,
    "document marks": _marked,
    "CRLF": _crlf,
    "BOM": _bom,
    "BOM and CRLF": _notepad,
    "trailing spaces": _trailing,
    "anchors": _anchored,
    "merge keys": _merged,
    "hexadecimal ports": _hexadecimal,
    "tags": _tagged,
    "explicit keys": _explicit_keys,
    "folded value": _folded,
    "dry run": _dry_run,
    "exported": _exported,
}
