"""A TOML file read key by key, so that every mistake is named: the file, the key, what was expected."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hello_k8s.errors import CatalogError
from hello_k8s.language import t

_MISSING: Any = object()


class Table:
    """One table of a TOML file. Each reader marks its key as known; `nothing_else` refuses the others."""

    def __init__(self, file: Path, prefix: str, values: Mapping[str, Any]) -> None:
        self.file = file
        self._prefix = prefix
        self._values = values
        self._read: list[str] = []

    @property
    def keys(self) -> tuple[str, ...]:
        """What the table says, in the file's order."""
        return tuple(self._values)

    def error(self, key: str, expected: str) -> CatalogError:
        """The error for `key` of this table."""
        return CatalogError(
            t("catalog.wrong", file=self.file, key=self._prefix + key),
            why=expected,
            next=t("catalog.wrong_next"),
        )

    def _get(self, key: str, kind: type, named: str, default: Any) -> Any:
        self._read.append(key)
        value = self._values.get(key, default)
        if value is _MISSING:
            raise self.error(key, t("catalog.missing", kind=t(f"catalog.kind.{named}")))
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.error(key, t("catalog.expected", kind=t(f"catalog.kind.{named}"), got=repr(value)))
        return value

    def string(self, key: str, default: Any = _MISSING) -> str:
        return self._get(key, str, "string", default)

    def integer(self, key: str, default: Any = _MISSING) -> int:
        return self._get(key, int, "integer", default)

    def strings(self, key: str, default: Any = _MISSING) -> tuple[str, ...]:
        """A list of strings."""
        value = self._get(key, list if key in self._values else Sequence, "strings", default)
        if not all(isinstance(item, str) for item in value):
            raise self.error(key, t("catalog.expected", kind=t("catalog.kind.strings"), got=repr(value)))
        return tuple(value)

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        value = self.string(key)
        if value not in allowed:
            raise self.error(key, t("catalog.expected_choice", allowed=", ".join(allowed), got=repr(value)))
        return value

    def mapping(self, key: str, default: Any = _MISSING) -> Mapping[str, str]:
        """A table whose values are strings."""
        value = self._get(key, dict, "mapping", default)
        for name, item in value.items():
            if not isinstance(item, str):
                raise self.error(f"{key}.{name}", t("catalog.expected", kind=t("catalog.kind.string"), got=repr(item)))
        return dict(value)

    def table(self, key: str, default: Any = _MISSING) -> Table:
        return Table(self.file, f"{self._prefix}{key}.", self._get(key, dict, "table", default))

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """The named tables below `key` (`[checks.small]`, …), in the file's order; none if `key` is missing."""
        for name, value in self._get(key, dict, "table", {}).items():
            if not isinstance(value, dict):
                raise self.error(f"{key}.{name}", t("catalog.expected", kind=t("catalog.kind.table"), got=repr(value)))
            yield name, Table(self.file, f"{self._prefix}{key}.{name}.", value)

    def nothing_else(self) -> None:
        """Raise for a key that nobody asked for, with the nearest one that exists."""
        for key in self._values:
            if key not in self._read:
                near = difflib.get_close_matches(key, self._read, n=1)
                names = ", ".join(self._read)
                hint = t("catalog.nearest", names=near[0]) if near else t("catalog.known_keys", names=names)
                raise self.error(key, t("catalog.unknown_key", near=hint))


def read_toml(file: Path) -> Table:
    """The top table of `file`. Raises CatalogError if it is missing, not UTF-8 or not TOML (line and column)."""
    try:
        return Table(file, "", tomllib.loads(file.read_text("utf-8-sig")))
    except FileNotFoundError as error:
        raise CatalogError(t("catalog.no_file", file=file), next=t("catalog.wrong_next")) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogError(t("catalog.not_toml", file=file), why=str(error), next=t("catalog.wrong_next")) from error
