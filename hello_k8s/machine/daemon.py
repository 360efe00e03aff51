"""A dockerd started by us: through systemd where it runs, by hand where no init system does."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

from hello_k8s.errors import MachineError
from hello_k8s.language import t
from hello_k8s.machine.engine import user_engine
from hello_k8s.process import run
from hello_k8s.progress import Progress

#: The engine is the machine's, not a checkout's: its log and pid file are where a daemon's are.
LOG = Path("/var/log/hello-k8s-dockerd.log")
PID = Path("/run/hello-k8s-dockerd.pid")
#: Pid files that a killed engine leaves behind, and the program that each must belong to. A stale one stops it.
_PID_FILES = {
    PID: "dockerd",
    Path("/var/run/docker.pid"): "dockerd",
    Path("/var/run/docker/containerd/containerd.pid"): "containerd",
}
#: kubelet, containerd and whatever watches files share these; 128 instances don't last for three nodes.
INOTIFY = {"max_user_instances": 1024, "max_user_watches": 524288}
_INOTIFY_FOLDER = Path("/proc/sys/fs/inotify")
_START_SECONDS = 60


def program() -> str | None:
    """Where dockerd is; also where a user's PATH doesn't lead (Debian's has no sbin). None where it isn't installed."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    return shutil.which("dockerd", path=path)


def start(progress: Progress) -> None:
    """Start the engine that is installed here and wait until it answers; root only. Raises MachineError."""
    raise_inotify(progress)
    if Path("/run/systemd/system").is_dir():
        with progress.step(t("engine.starting"), 5):
            run(["systemctl", "start", "docker"], timeout=120)
        return
    clear_stale_pids(progress)
    with progress.step(t("engine.starting"), 3):
        process = _spawn()
        _wait(process)
    progress.note(t("engine.started", log=LOG))


def raise_inotify(progress: Progress, folder: Path = _INOTIFY_FOLDER) -> None:
    """Raise the limits on file watches where they are lower than three nodes need, and say so."""
    for name, wanted in INOTIFY.items():
        file = folder / name
        have = int(file.read_text()) if file.exists() else wanted
        if have < wanted and os.access(file, os.W_OK):
            file.write_text(str(wanted))
            progress.note(t("engine.inotify", name=f"fs.inotify.{name}", have=have, wanted=wanted))


def clear_stale_pids(progress: Progress, files: dict[Path, str] | None = None) -> None:
    """Remove pid files whose process is gone, or is another program that got the same number."""
    for file, program in (files or _PID_FILES).items():
        text = file.read_text().strip() if file.exists() else ""
        if text.isdigit() and not _is_running(int(text), program):
            file.unlink(missing_ok=True)
            progress.note(t("engine.stale_pid", file=file))


def _is_running(pid: int, program: str) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == program
    except OSError:
        return False


def _spawn() -> subprocess.Popen[bytes]:
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("ab") as log:
        return subprocess.Popen(
            [program() or "dockerd", "--pidfile", str(PID)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )


def _wait(process: subprocess.Popen[bytes]) -> None:
    engine = user_engine()
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if engine.answers(timeout=5):
            return
        try:
            process.wait(0.3)
        except subprocess.TimeoutExpired:
            continue
        break
    raise MachineError(t("engine.did_not_start"), why=_last_lines(), next=t("engine.see_log", log=LOG))


def _last_lines(count: int = 8) -> str:
    return "\n".join(LOG.read_text(errors="replace").splitlines()[-count:])


def stop_ours() -> None:
    """End the dockerd that `start` started by hand, and wait for it; nothing where there is none."""
    text = PID.read_text().strip() if PID.exists() else ""
    if not text.isdigit() or not _is_running(int(text), "dockerd"):
        return
    ended = os.pidfd_open(int(text))
    os.kill(int(text), signal.SIGTERM)
    select.select([ended], [], [], 30)
    os.close(ended)
