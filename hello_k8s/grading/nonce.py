"""What the grader stamps into a source before it is built: whoever answers with it was compiled just then from it.

Equal files get the same again, so that what was built from them is found in the build cache. In a class whose
submissions can't hear of each other all get the same: equal steps of different files are built once, too. Nobody knows
the secret who hands in, and a file in which a nonce is written down gets another one by that.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from hello_k8s import paths
from hello_k8s.catalog import Lab
from hello_k8s.grading import replay

#: Environment variables of a class's gradings: which class it is; its secret; set where its submissions can't reach
#: each other.
CLASS, SECRET, APART = "HELLO_K8S_CLASS", "HELLO_K8S_CLASS_SECRET", "HELLO_K8S_CLASS_APART"


def nonce_of(lab: Lab, files: Mapping[PurePosixPath, Path]) -> str:
    """Eight hexadecimal digits for `files`, the deliverables by their names."""
    digest = hmac.new(_secret().encode(), lab.id.encode(), "sha256")
    if not os.environ.get(APART):
        for name, file in sorted(files.items()):
            data = hashlib.sha256(replay.decisive_bytes(file)).digest()
            digest.update(f"\0{name}\0".encode() + data)
    return digest.hexdigest()[:8]


def _secret() -> str:
    """The class's, or this checkout's own, made when it is first needed."""
    if told := os.environ.get(SECRET):
        return told
    file = paths.state() / "secret"
    if not file.exists():
        part = file.with_suffix(f".{os.getpid()}")
        part.touch(0o600)
        part.write_text(secrets.token_hex(16))
        try:
            os.link(part, file)  # whoever comes first, has made it
        except FileExistsError:
            pass
        finally:
            part.unlink()
    return file.read_text()
