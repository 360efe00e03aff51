"""What checks hold in their hands: the submission's files, its namespace, the objects there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hello_k8s.grading.manifests import read_manifests
from hello_k8s.grading.verdict import Unmet
from hello_k8s.language import both

if TYPE_CHECKING:
    from hello_k8s.machine.kubeapi import KubeApi


@dataclass(frozen=True)
class Submission:
    """The learner's files as they are graded, in `folder`; `nonce` is what `replay.stamp` put into the source."""

    folder: Path
    nonce: str

    def text(self, name: str) -> str:
        """A file's text; Unmet where it is missing or no UTF-8."""
        try:
            return (self.folder / name).read_text("utf-8-sig")
        except OSError:
            raise Unmet(both("grading.file_missing", file=name)) from None
        except UnicodeDecodeError as error:
            raise Unmet(both("grading.not_utf8", file=name, position=error.start)) from None

    def manifests(self, name: str) -> list[dict[str, Any]]:
        """The objects in a manifest; Unmet, with line and column, where it is no YAML."""
        return read_manifests(self.folder / name, name)


@dataclass(frozen=True)
class Namespace:
    """Where the submission lives. `live`: the learner's own, as they left it."""

    name: str
    live: bool

    def __str__(self) -> str:
        return self.name


class Objects:
    """The objects of one namespace."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """The object; Unmet where there is none."""
        found = self.api.read(kind, name, self.namespace)
        if found is None:
            raise Unmet(both("grading.no_such_object", object=f"{kind}/{name}", namespace=self.namespace))
        return found

    def list(self, kind: str, labels: str | Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Objects of `kind` with these labels."""
        return self.api.list(kind, self.namespace, labels)
