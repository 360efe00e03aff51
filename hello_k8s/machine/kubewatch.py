"""A watch of the Kubernetes API: events as they come, from where a broken stream ended."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hello_k8s.errors import HelloError


class Watch:
    """A running watch: iterate over it, and `close` it (from any thread) or leave its `with` block to end it.

    `open` gives a connection, `path` is what to ask on it; `refused` makes the error of a status from 400 on,
    `silent` that of a server which is gone.
    """

    def __init__(
        self,
        open: Callable[[], http.client.HTTPConnection],
        path: Callable[[Mapping[str, Any]], str],
        headers: Mapping[str, str],
        timeout: float,
        refused: Callable[[int, bytes], HelloError],
        silent: Callable[[Exception], HelloError],
    ) -> None:
        self._open = open
        self._path = path
        self._headers = headers
        self._refused = refused
        self._silent = silent
        self._until = time.monotonic() + timeout
        self._connection: http.client.HTTPConnection | None = None
        self._closed = False

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True
        sock = self._connection.sock if self._connection else None
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        version, failed = "", False
        while not self._closed and (left := self._until - time.monotonic()) > 0:
            try:
                for event in self._stream(left, version):
                    if event["type"] == "ERROR":
                        # 410: the server has forgotten that version; begin again with what is there.
                        version = ""
                        break
                    version, failed = event["object"]["metadata"]["resourceVersion"], False
                    if event["type"] != "BOOKMARK":
                        yield event["type"], event["object"]
            except TimeoutError:
                return
            except (OSError, http.client.HTTPException, ValueError) as error:
                # A stream that broke is taken up where it was; a server that is gone stays gone.
                if not self._closed and (failed or not version):
                    raise self._silent(error) from error
                failed = True
            finally:
                if self._connection is not None:
                    self._connection.close()

    def _stream(self, seconds: float, version: str) -> Iterator[dict[str, Any]]:
        params: dict[str, Any] = {"watch": "true", "timeoutSeconds": max(1, int(seconds + 1))}
        if version:
            params["resourceVersion"] = version
        self._connection = connection = self._open()
        connection.timeout = seconds + 0.5
        connection.connect()
        if self._closed:  # before there was a socket to shut
            return
        connection.request("GET", self._path(params), headers=self._headers)
        answer = connection.getresponse()
        if answer.status >= 400:
            raise self._refused(answer.status, answer.read())
        while line := answer.readline():
            yield json.loads(line)
            left = self._until - time.monotonic()
            if left <= 0:
                return
            if connection.sock is not None:
                connection.sock.settimeout(left)
