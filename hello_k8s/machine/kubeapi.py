"""The Kubernetes API on the kubeconfig's client certificate: get, apply, watch, and the Pod proxy.

Standard library only: `import httpx` takes 0.3 s (it brings click, pygments and rich) and the kubernetes client
a second, of the second and a half that `lab check` may take from Enter to verdict. Connections are kept.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hello_k8s.errors import ClusterError, HelloError
from hello_k8s.language import t
from hello_k8s.machine.kubekinds import Kinds, Resource
from hello_k8s.machine.kubewatch import Watch

#: Who applied a field, as server-side apply records it.
FIELD_MANAGER = "hello-k8s"
#: Seconds that one request may take before the cluster counts as silent.
TIMEOUT = 15.0
#: Seconds after which one who waits for the end of an object asks whether it is over: an object that went before the
#: watch was there leaves no event in it.
_ASK_AGAIN = 5.0

Object = dict[str, Any]


class ApiError(HelloError):
    """The API server said no. `status` is the HTTP status, `reason` and `message` are those of its Status object."""

    def __init__(self, status: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(t("kubeapi.refused", status=status, reason=reason), why=message)
        self.status = status
        self.reason = reason
        self.message = message
        self.details = dict(details or {})


class NotYet(Exception):
    """A condition wasn't met in time; `last` is the object as it was last seen, None if it didn't exist. Its text says
    what was waited for, to whoever reads a traceback.
    """

    def __init__(self, last: Object | None, waited_for: str = "") -> None:
        super().__init__(waited_for)
        self.last = last


@dataclass(frozen=True)
class Response:
    """An HTTP response, read to its end; header names are in lower case."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON. Raises ValueError if it is none."""
        return json.loads(self.content)


class KubeApi:
    """One API server. Safe to use from several threads: each request takes a connection of its own from the idle ones.

    `tls` is None for plain HTTP (`kubectl proxy`, tests). `headers` go with every request.
    """

    def __init__(
        self,
        server: str,
        tls: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = TIMEOUT,
        cache: Path | None = None,
    ) -> None:
        self.server = server.rstrip("/")
        self.timeout = timeout
        self._tls = tls
        self._headers = dict(headers or {})
        self._idle: list[http.client.HTTPConnection] = []
        self._kinds = Kinds(self.get, self.server, cache)

    @classmethod
    def from_kubeconfig(cls, path: Path | str, context: str | None = None) -> KubeApi:
        """The API of `context` (default: the current one) of a kubeconfig file.

        Raises ClusterError where the file is missing or holds no such context. Client certificates and tokens
        are understood; programs that fetch credentials (`exec`) are not: ours is a kind cluster.
        """
        from hello_k8s.machine.kubeconfig import read_kubeconfig

        server, tls, headers = read_kubeconfig(Path(path), context)
        return cls(server, tls, headers, cache=Path(path).parent)

    def as_user(self, user: str, group: str = "") -> KubeApi:
        """The same API, every request made as `user` (`system:serviceaccount:<namespace>:<name>`), with its rights.

        With `group` in that group instead of those that a ServiceAccount is in.
        """
        headers = {**self._headers, "Impersonate-User": user, **({"Impersonate-Group": group} if group else {})}
        other = KubeApi(self.server, self._tls, headers, timeout=self.timeout)
        other._idle = self._idle
        other._kinds = self._kinds
        return other

    # -- requests

    def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float | None = None,
    ) -> Response:
        """One request, whatever its status. Raises ClusterError where nothing answers within `timeout` seconds."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept, **self._headers}
        if data is not None:
            headers["Content-Type"] = content_type
        target = _target(path, params)
        for fresh in (False, True):
            connection = self._connection(fresh)
            reused = connection.sock is not None
            try:
                self._limit(connection, timeout or self.timeout)
                connection.request(method, target, body=data, headers=headers)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                # A connection that was kept may have been closed by the other side; that says nothing.
                if reused and not isinstance(error, TimeoutError):
                    continue
                raise self._silent(error) from error
            if not answer.will_close:
                self._idle.append(connection)
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, found, content)
        raise AssertionError("a fresh connection is never a reused one")

    def _connection(self, fresh: bool) -> http.client.HTTPConnection:
        if not fresh:
            try:
                return self._idle.pop()
            except IndexError:
                pass
        return self._open()

    def _open(self) -> http.client.HTTPConnection:
        url = urllib.parse.urlsplit(self.server)
        host, port = url.hostname or "", url.port
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=self.timeout)
        return http.client.HTTPSConnection(host, port, timeout=self.timeout, context=self._tls)

    @staticmethod
    def _limit(connection: http.client.HTTPConnection, seconds: float) -> None:
        connection.timeout = seconds
        if connection.sock is not None:
            connection.sock.settimeout(seconds)

    def _silent(self, error: Exception) -> ClusterError:
        return ClusterError(
            t("kubeapi.silent", server=self.server),
            why=str(error) or type(error).__name__,
            next=t("kubeapi.silent_next"),
        )

    def _json(self, method: str, path: str, **options: Any) -> Any:
        response = self.request(method, path, **options)
        if response.status_code >= 400:
            raise error_of(response)
        return response.json()

    def get(self, path: str, **params: Any) -> Any:
        """GET `path`, read as JSON. Raises ApiError for every status from 400 on."""
        accept = params.pop("accept", "application/json")
        return self._json("GET", path, params=params, accept=accept)

    # -- objects

    def resource(self, kind: str, api_version: str | None = None) -> Resource:
        """Where objects of `kind` live. Raises ApiError (404) for a kind that this cluster doesn't know."""
        found = self._kinds.find(kind, api_version)
        if found is None:
            raise ApiError(404, "NotFound", f'no matches for kind "{kind}" in version "{api_version or "any"}"')
        return found

    def list(
        self, kind: str, namespace: str | None = None, labels: str | Mapping[str, str] | None = None
    ) -> list[Object]:
        """Objects of `kind` in `namespace` (None: in all), with these labels; each carries its apiVersion and kind."""
        resource = self.resource(kind)
        found = self._json("GET", resource.path(namespace), params=_selector(labels))
        return [{"apiVersion": resource.api_version, "kind": kind, **item} for item in found["items"]]

    def read(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None where there is none."""
        try:
            return self._json("GET", self.resource(kind).path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def apply(self, obj: Object, namespace: str | None = None, *, dry_run: bool = False, force: bool = True) -> Object:
        """Server-side apply; returns the object as the server has it (with `dry_run`: as it would have it).

        The object's own namespace goes before `namespace`. Raises ApiError: 403 admission, 409 a conflict, 422.
        """
        params = {"fieldManager": FIELD_MANAGER, "force": str(force).lower(), "fieldValidation": "Strict"}
        return self._json(
            "PATCH",
            self._path(obj, namespace, obj["metadata"]["name"]),
            params={**params, **({"dryRun": "All"} if dry_run else {})},
            body=obj,
            content_type="application/apply-patch+yaml",
        )

    def create(self, obj: Object, namespace: str | None = None, *, dry_run: bool = False) -> Object:
        """Create `obj`; unknown fields are refused as by `kubectl apply`. Raises ApiError: 409 where it exists."""
        params = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return self._json("POST", self._path(obj, namespace), params=params, body=obj)

    def delete(
        self, kind: str, name: str, namespace: str | None = None, *, wait: bool = False, timeout: float = 120
    ) -> None:
        """Delete; one that isn't there is fine. `wait` until it is gone; NotYet after `timeout` seconds."""
        response = self.request(
            "DELETE", self.resource(kind).path(namespace, name), body={"propagationPolicy": "Background"}
        )
        if response.status_code == 404:
            return
        if response.status_code >= 400:
            raise error_of(response)
        if wait:
            self.wait(kind, name, namespace, lambda obj: False, timeout, gone=True)

    def _path(self, obj: Object, namespace: str | None, name: str = "") -> str:
        resource = self.resource(obj["kind"], obj["apiVersion"])
        return resource.path(obj["metadata"].get("namespace") or namespace, name)

    # -- what happens

    def watch(
        self,
        kind: str,
        namespace: str | None = None,
        labels: str | Mapping[str, str] | None = None,
        timeout: float = 30,
        *,
        name: str | None = None,
    ) -> Watch:
        """`(type, object)` for `timeout` seconds: first ADDED for everything that is there, then what changes."""
        selector = {**_selector(labels), **({"fieldSelector": f"metadata.name={name}"} if name else {})}
        path = self.resource(kind).path(namespace)
        return Watch(
            self._open,
            lambda params: _target(path, {**selector, **params}),
            {"Accept": "application/json", **self._headers},
            timeout,
            lambda status, content: error_of(Response(status, {}, content)),
            self._silent,
        )

    def wait(
        self,
        kind: str,
        name: str,
        namespace: str | None,
        condition: Callable[[Object], bool],
        timeout: float = 60,
        *,
        gone: bool = False,
    ) -> Object | None:
        """Wait on a watch until `condition(object)`, and return it; with `gone` until it is deleted (returns None),
        though another of its name may be there by then.

        Raises NotYet after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        last = first = self.read(kind, name, namespace)

        def done(now: Object | None) -> bool:
            if gone:
                return now is None or _uid(now) != _uid(first)
            return now is not None and condition(now)

        while not done(last):
            left = deadline - time.monotonic()
            if left <= 0:
                title = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
                raise NotYet(last, f"{title}: {'still there' if gone else 'not as wanted'} after {timeout:g} s")
            with self.watch(kind, namespace, timeout=min(left, _ASK_AGAIN) if gone else left, name=name) as events:
                for event, obj in events:
                    last = None if event == "DELETED" else obj
                    if done(last):
                        return None if gone else last
            if gone:
                last = self.read(kind, name, namespace)
        return None if gone else last

    def pod_proxy(
        self,
        namespace: str,
        pod: str,
        port: int | str,
        path: str = "/",
        params: Mapping[str, Any] | None = None,
        timeout: float = TIMEOUT,
    ) -> Response:
        """GET through the API server's proxy to a port of a Pod; an error of the proxy itself is a 502 or 503."""
        target = f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/{path.lstrip('/')}"
        return self.request("GET", target, params, accept="*/*", timeout=timeout)

    def logs(
        self, namespace: str, pod: str, container: str | None = None, *, tail: int = 20, previous: bool = False
    ) -> str:
        """The last `tail` lines of a container's log; empty where there is none yet."""
        params: dict[str, Any] = {"tailLines": tail, **({"container": container} if container else {})}
        if previous:
            params["previous"] = "true"
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        response = self.request("GET", path, params, accept="*/*")
        return response.text if response.status_code == 200 else ""

    def events(self, namespace: str, name: str | None = None) -> Sequence[Object]:
        """The namespace's events (about the object called `name`), the newest last."""
        params = {"fieldSelector": f"involvedObject.name={name}"} if name else {}
        found = self._json("GET", f"/api/v1/namespaces/{namespace}/events", params=params)["items"]
        return sorted(found, key=_time)


def error_of(response: Response) -> ApiError:
    """The ApiError that a response with a status from 400 on stands for."""
    try:
        status = response.json()
        return ApiError(
            response.status_code, status.get("reason", ""), status.get("message", response.text), status.get("details")
        )
    except (ValueError, AttributeError):
        return ApiError(response.status_code, "", response.text[:1000])


def _target(path: str, params: Mapping[str, Any] | None) -> str:
    quoted = urllib.parse.quote(path, safe="/:")
    return f"{quoted}?{urllib.parse.urlencode(params)}" if params else quoted


def _selector(labels: str | Mapping[str, str] | None) -> dict[str, str]:
    if not labels:
        return {}
    text = labels if isinstance(labels, str) else ",".join(f"{key}={value}" for key, value in labels.items())
    return {"labelSelector": text}


def _uid(obj: Object | None) -> str:
    return str(obj["metadata"].get("uid")) if obj else ""


def _time(event: Object) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""
