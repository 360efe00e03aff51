"""kind's configuration and our objects, out of the files in data/."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parent / "data"


def kind_config(nodes: int) -> str:
    """kind's configuration of a cluster with one control plane and `nodes` - 1 workers, as YAML."""
    return (DATA / "kind.yaml").read_text() + "- role: worker\n" * (nodes - 1)


def objects(file: str, **replaced: str) -> list[dict[str, object]]:
    """The objects of data/<file>, with each word of `replaced` (NAME, IMAGE) put in."""
    import yaml

    text = (DATA / file).read_text()
    for word, value in replaced.items():
        text = text.replace(word, value)
    return [found for found in yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if found]
