"""What an HTTP question got as an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hello_k8s.grading.verdict import Unmet
from hello_k8s.language import both

#: Characters of an error that are kept: it may quote what the other side sent.
_ERROR = 300


@dataclass(frozen=True)
class Answer:
    """One answer. `status` is 0 where nothing answered; `error` then says why, in the probe's words."""

    status: int
    text: str = ""
    error: str = ""
    seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Answer:
        """From what `probe fetch` prints."""
        return cls(item["status"], item["body"], item["error"][:_ERROR], item["seconds"], item["headers"] or {})

    def json(self) -> Any:
        """The body as JSON; Unmet where there is no answer or it is no JSON."""
        if self.error:
            raise Unmet(self.error)
        try:
            return json.loads(self.text)
        except ValueError:
            raise Unmet(both("grading.no_json", status=self.status, body=self.text[:200])) from None
