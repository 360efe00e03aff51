"""What an image holds: a pattern in its layers' files, deleted ones too, in its configuration and in its history."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from hello_k8s.errors import EngineError
from hello_k8s.process import run

if TYPE_CHECKING:
    from hello_k8s.grading.built import BuiltImage

_SECONDS = 120


def holding(image: BuiltImage, pattern: str) -> list[str]:
    """See BuiltImage.holding. What matched isn't told: a message is no place for a secret.

    Raises EngineError where the image's layers don't lie unpacked in a nested engine.
    """
    return [*_in_config(image.config, pattern), *_in_history(image.history, pattern), *_in_layers(image, pattern)]


def _in_config(config: dict[str, Any], pattern: str) -> list[str]:
    found = [f"ENV {each.partition('=')[0]}" for each in config.get("Env") or () if re.search(pattern, each)]
    labels = config.get("Labels") or {}
    found += [f"LABEL {name}" for name, value in labels.items() if re.search(pattern, f"{name}={value}")]
    rest = {name: value for name, value in config.items() if name not in ("Env", "Labels")}
    return found + [name for name, value in rest.items() if re.search(pattern, str(value))]


def _in_history(history: list[dict[str, Any]], pattern: str) -> list[str]:
    steps = [str(step.get("created_by", "")) for step in history]
    return [f"history: {re.sub(pattern, '…', step)[:120]}" for step in steps if re.search(pattern, step)]


def _in_layers(image: BuiltImage, pattern: str) -> list[str]:
    words = [*image.engine.prefix[:-1], "confine", "search", image.tag, pattern]
    if image.engine.name != "nested":
        raise EngineError(words, "", 2)
    done = run(words, timeout=_SECONDS, error=EngineError)
    return [f"layer {each['layer']}: {each['path']}" for each in json.loads(done.stdout)]
