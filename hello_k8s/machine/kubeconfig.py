"""A kubeconfig file read into what a connection needs."""

from __future__ import annotations

import base64
import ssl
import tempfile
from pathlib import Path
from typing import Any

import yaml

from hello_k8s.errors import ClusterError
from hello_k8s.language import t


def read_kubeconfig(path: Path, context: str | None = None) -> tuple[str, ssl.SSLContext | None, dict[str, str]]:
    """The server's URL, a TLS context with its CA and the client certificate, and headers (a bearer token).

    Raises ClusterError where the file is missing, is no kubeconfig, or has no such context.
    """
    try:
        config = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        chosen = _named(config, "contexts", context or config["current-context"])["context"]
        cluster = _named(config, "clusters", chosen["cluster"])["cluster"]
        user = _named(config, "users", chosen["user"])["user"]
        server = cluster["server"]
    except FileNotFoundError as missing:
        raise ClusterError(t("kubeapi.no_kubeconfig", file=path), next=t("kubeapi.silent_next")) from missing
    except (yaml.YAMLError, KeyError, TypeError) as wrong:
        raise ClusterError(
            t("kubeapi.wrong_kubeconfig", file=path), why=str(wrong), next=t("kubeapi.silent_next")
        ) from wrong
    headers = {"Authorization": f"Bearer {user['token']}"} if user.get("token") else {}
    tls = _tls(cluster, user, path.parent) if server.startswith("https:") else None
    return server, tls, headers


def _named(config: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    for entry in config[section] or ():
        if entry["name"] == name:
            return entry
    raise KeyError(f"{section}: {name}")


def _tls(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> ssl.SSLContext:
    authority = _bytes(cluster, "certificate-authority", folder)
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = _bytes(user, "client-certificate", folder)
    key = _bytes(user, "client-key", folder)
    if certificate and key:
        # OpenSSL only reads a certificate from a file; this one is readable by us alone and gone at once.
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _bytes(entry: dict[str, Any], name: str, folder: Path) -> bytes | None:
    if data := entry.get(f"{name}-data"):
        return base64.b64decode(data)
    return (folder / entry[name]).read_bytes() if entry.get(name) else None
