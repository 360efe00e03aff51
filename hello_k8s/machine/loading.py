"""Images from an engine onto a cluster's nodes: one stream out, one into each node, at the same time."""

from __future__ import annotations

import os
import re
import select
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

from hello_k8s.errors import ClusterError, CommandFailed, HelloError, MachineError
from hello_k8s.language import t
from hello_k8s.machine.engine import Engine
from hello_k8s.machine.nodes import Node
from hello_k8s.process import started
from hello_k8s.progress import Progress

#: On each image that we brought: the ID it has on the engine it came from. IDs differ between image stores
#: (config or manifest digest), so what the node calls it can't be compared.
_ID_LABEL = "org.hello-k8s.id"
#: A name that nobody gave: `ctr import --digests` makes the first, the runtime itself the second.
_MADE = re.compile(r"import-[\d-]+@sha256:|sha256:")
_CHUNK = 1 << 20
#: Seconds in which something has to move: a byte into a node, or the end of an import.
_STALLED_SECONDS = 600


def full_name(ref: str) -> str:
    """`ref` as containerd stores it: `probe:1` → `docker.io/library/probe:1`; a missing tag is `latest`."""
    host, slash, rest = ref.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = "docker.io", ref if slash else f"library/{ref}"
    last = rest.rsplit("/", 1)[-1]
    return f"{host}/{rest}" + ("" if ":" in last or "@" in last else ":latest")


def images_on(engine: Engine, node: Node) -> dict[str, str]:
    """Every image name on `node` with the ID of the engine's image that it was loaded from ("" for others)."""
    printed = engine.run("exec", node.name, "ctr", "-n", "k8s.io", "images", "ls").stdout
    found = {}
    for line in printed.splitlines()[1:]:
        name = line.split(maxsplit=1)[0]
        label = re.search(rf"{re.escape(_ID_LABEL)}=([^,\s]+)", line)
        found[name] = label[1] if label else ""
    return found


def load(refs: Iterable[str], source: Engine, host: Engine, nodes: Sequence[Node], progress: Progress) -> list[str]:
    """Bring images of `source` onto `nodes` (containers of `host`); returns the refs that had to be brought.

    One whose ID is there already is left alone. Raises MachineError for an image that isn't on `source`,
    ClusterError where a node doesn't take it.
    """
    wanted = {ref: _id_of(source, ref) for ref in dict.fromkeys(refs)}
    if not wanted:
        return []
    with ThreadPoolExecutor(len(nodes)) as pool:
        there = list(pool.map(lambda node: images_on(host, node), nodes))
    brought = []
    for ref, identity in wanted.items():
        missing = [node for node, has in zip(nodes, there) if has.get(full_name(ref)) != identity]
        if missing:
            progress.line(t("cluster.loading", ref=ref, nodes=", ".join(node.name for node in missing)))
            _stream(ref, identity, source, host, missing)
            brought.append(ref)
    return brought


def remove(ref: str, host: Engine, nodes: Iterable[str]) -> None:
    """Remove the image `ref` from `nodes` (names of containers of `host`), as far as that works: what it holds stays
    where it has another name that a person or the lab gave it. A container that runs goes on running.
    """
    for node in nodes:
        with suppress(HelloError):
            printed = host.run("exec", node, "ctr", "-n", "k8s.io", "images", "ls").stdout
            if names := _names_of(full_name(ref), printed):
                host.run("exec", node, "ctr", "-n", "k8s.io", "images", "rm", *names)


def _names_of(name: str, printed: str) -> list[str]:
    """`name` in what `ctr images ls` printed, and with it, where nothing else needs them, the names that an import and
    the kubelet's runtime made for the same content: it is freed with the last of them.
    """
    rows = [line.split(maxsplit=3)[:3] for line in printed.splitlines()[1:] if line.strip()]
    digests = {row[0]: row[2] for row in rows if len(row) == 3}
    if name not in digests:
        return []
    same = [other for other, digest in digests.items() if digest == digests[name] and other != name]
    made = [other for other in same if _MADE.match(other)]
    return [name, *made] if made == same else [name]


def _id_of(source: Engine, ref: str) -> str:
    image = source.image(ref)
    if image is None:
        raise MachineError(t("cluster.no_such_image", ref=ref), next=t("cluster.no_such_image_next"))
    return str(image["Id"])


def _stream(ref: str, identity: str, source: Engine, host: Engine, nodes: Sequence[Node]) -> None:
    """`docker save` once, its output into `ctr import` on every node: never the whole image in memory."""
    # No --all-platforms: an image pulled into the containerd store names platforms that it doesn't hold.
    load_command = ("ctr", "-n", "k8s.io", "images", "import", "--digests", f"--label={_ID_LABEL}={identity}", "-")
    commands = [[*host.prefix, "exec", "-i", node.name, *load_command] for node in nodes]
    commands.append([*source.prefix, "save", ref])
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    # left in the other order: what is read of their errors ends once they are killed
    with ThreadPoolExecutor(len(commands)) as pool, ExitStack() as running:
        sinks = [running.enter_context(started(command, stdin=pipe, stdout=nothing)) for command in commands[:-1]]
        save = running.enter_context(started(commands[-1]))
        said = [pool.submit(process.stderr.read) for process in (*sinks, save) if process.stderr]
        try:
            _copy(save, sinks)
            codes: list[int | None] = [process.wait(_STALLED_SECONDS) for process in (*sinks, save)]
        except subprocess.TimeoutExpired as late:
            # the others only wait for that one
            codes = [None if process.args == late.cmd else process.poll() or 0 for process in (*sinks, save)]
    outputs = [future.result().decode(errors="replace") for future in said]
    for code, output, command in zip(codes, outputs, commands):
        if code != 0:
            raise ClusterError(
                t("cluster.not_loaded", ref=ref),
                why=str(CommandFailed(command, output, code)),
                next=t("cluster.not_loaded_next"),
            )


def _copy(save: subprocess.Popen[bytes], sinks: Sequence[subprocess.Popen[bytes]]) -> None:
    """What `save` prints into each of `sinks`; one that has ended is left out, its exit code says why.

    Raises subprocess.TimeoutExpired, with the command of the one that stands still, where nothing moves any more.
    """
    assert save.stdout is not None
    source = save.stdout.fileno()
    ends = {sink.stdin.fileno(): sink for sink in sinks if sink.stdin}
    for end in ends:
        os.set_blocking(end, False)
    while _moving(save, reading=[source]) and (data := os.read(source, _CHUNK)):
        left = dict.fromkeys(ends, memoryview(data))
        while left:
            for end in _moving(ends[min(left)], writing=list(left)):
                try:
                    left[end] = left[end][os.write(end, left[end]) :]
                except BrokenPipeError:
                    del ends[end], left[end]
                    continue
                if not left[end]:
                    del left[end]
    for sink in sinks:
        if sink.stdin:
            sink.stdin.close()


def _moving(
    process: subprocess.Popen[bytes], reading: Sequence[int] = (), writing: Sequence[int] = ()
) -> Sequence[int]:
    """Those of the pipes that are ready; TimeoutExpired, as that of `process`, where none is for too long."""
    readable, writable, _ = select.select(reading, writing, (), _STALLED_SECONDS)
    if not readable and not writable:
        raise subprocess.TimeoutExpired(process.args, _STALLED_SECONDS)
    return [*readable, *writable]
