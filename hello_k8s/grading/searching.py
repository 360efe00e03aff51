"""What an image holds: a pattern in its layers' files, deleted ones too, in its configuration and in its history."""

from __future__ import annotations

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
    driver = image.inspected.get("GraphDriver") or {}
    data = driver.get("Data") or {}
    folders = [*reversed((data.get("LowerDir") or "").split(":")), data.get("UpperDir") or ""]
    folders = [folder for folder in folders if folder]
    inside = [*image.engine.prefix[:-1]]
    words = [*inside, "env", "LC_ALL=C", "grep", "-rlaE", "-e", pattern, "--", *folders]
    if driver.get("Name") != "overlay2" or image.engine.name != "nested":
        raise EngineError(words, "overlay2", 2)
    done = run(words, timeout=_SECONDS, check=False)
    if done.code not in (0, 1):
        raise EngineError(words, done.stderr, done.code)
    found = []
    for line in done.stdout.splitlines():
        number = next((n for n, folder in enumerate(folders, 1) if line.startswith(folder + "/")), 0)
        found.append(f"layer {number}: {line.removeprefix(folders[number - 1])}" if number else line)
    return found
