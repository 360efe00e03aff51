"""kind's configuration and our objects, out of the files in data/."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


def kind_config(nodes: int) -> str:
    """kind's configuration of a cluster with one control plane and `nodes` - 1 workers, as YAML."""
    return (DATA / "kind.yaml").read_text() + "- role: worker\n" * (nodes - 1)


def text(file: str, **replaced: str) -> str:
    """data/<file>, with each word of `replaced` (NAME, IMAGE) put in."""
    content = (DATA / file).read_text("utf-8")
    for word, value in replaced.items():
        content = re.sub(rf"\b{word}\b", value, content)
    return content


def objects(file: str, **replaced: str) -> list[dict[str, Any]]:
    """The objects of data/<file>, with each word of `replaced` put in."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [found for found in yaml.load_all(text(file, **replaced), loader) if found]


def namespace(name: str, labels: Mapping[str, str], *, replay: bool) -> list[dict[str, Any]]:
    """The namespace of a lab called `name` and what is in it from the start; with `replay` what a throw-away one has
    besides.
    """
    found = objects("namespace.yaml", NAME=name)
    found[0]["metadata"]["labels"].update(labels)
    (quota,) = (obj for obj in found if obj["kind"] == "ResourceQuota")
    for obj in objects("namespace-replay.yaml", NAME=name) if replay else ():
        if obj["kind"] == quota["kind"]:  # one for both: each that there is would count every Pod
            quota["spec"]["hard"] |= obj["spec"]["hard"]
        else:
            found.append(obj)
    return found
