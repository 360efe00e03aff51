"""Packages of Debian's next release on an older Debian, without a trace in /etc/apt.

apt is run with lists, sources and preferences of our own (`-o Dir::…`), so that a kill at any point leaves the
machine's configuration as it was. The mirror is the one that the machine's own sources name; other people's
package sources are left out, since one of them that fails would stop us.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hello_k8s import paths
from hello_k8s.errors import MachineError
from hello_k8s.language import t
from hello_k8s.process import Completed, run
from hello_k8s.progress import SILENT, Progress

#: Where docker 28, buildx, containerd 2.1 and kind 0.33 are packaged; they need only libc6 ≥ 2.34 (Debian 12).
SUITE = "forky"
_ETC = Path("/etc/apt")
_LISTS_KEPT_SECONDS = 6 * 3600


def os_release(file: Path = Path("/etc/os-release")) -> dict[str, str]:
    """os-release as a mapping (man 5 os-release); empty where there is none."""
    if not file.exists():
        return {}
    found = re.findall(r'^([A-Z_]+)=(?:"([^"]*)"|\'([^\']*)\'|(.*))$', file.read_text(), re.MULTILINE)
    return {name: double or single or bare for name, double, single, bare in found}


def system(release: Mapping[str, str] | None = None, kernel: str | None = None) -> str:
    """Which texts fit this machine: debian, ubuntu, fedora, macos, windows, wsl or linux."""
    kernel = platform.system() if kernel is None else kernel
    if kernel == "Darwin":
        return "macos"
    if kernel == "Windows":
        return "windows"
    release = os_release() if release is None else release
    if "microsoft" in platform.release().lower() and shutil.which("dockerd") is None:
        return "wsl"
    name, like = release.get("ID", ""), release.get("ID_LIKE", "").split()
    if name == "debian":
        return "debian"
    if name == "ubuntu" or "ubuntu" in like:
        return "ubuntu"
    return "fedora" if name == "fedora" or "fedora" in like or "rhel" in like else "linux"


@dataclass(frozen=True)
class Source:
    """Where the machine gets Debian itself from: URIs and what else its entry says (Signed-By, trusted)."""

    uris: str
    codename: str
    options: tuple[tuple[str, str], ...]


def own_source(etc: Path = _ETC, codename: str | None = None) -> Source:
    """The entry of the machine's apt sources that has the release it runs. Raises MachineError without one."""
    codename = codename or os_release().get("VERSION_CODENAME", "")
    for file in sorted((etc / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", file.read_text()):
            fields = _fields(stanza)
            if _fits(fields.get("suites", ""), codename) and "deb" in fields.get("types", "").split():
                kept = tuple((k, v) for k, v in fields.items() if k in ("signed-by", "trusted"))
                return Source(fields["uris"], codename, kept)
    for file in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]:
        lines = file.read_text().splitlines() if file.exists() else []
        for line in lines:
            entry = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s", line + " ")
            if entry and _fits(entry[3], codename):
                options = [o.split("=", 1) for o in (entry[1] or "").split() if "=" in o]
                return Source(entry[2], codename, tuple((k, v) for k, v in options if k in ("signed-by", "trusted")))
    raise MachineError(t("engine.no_debian_source", release=codename), next=t("engine.no_debian_source_next"))


def _fields(stanza: str) -> dict[str, str]:
    lines = [line for line in stanza.splitlines() if not line.startswith("#")]
    text = re.sub(r"\n[ \t]+", " ", "\n".join(lines))
    return {k.strip().lower(): v.strip() for k, v in re.findall(r"^([A-Za-z-]+):(.*)$", text, re.MULTILINE)}


def _fits(suites: str, codename: str) -> bool:
    return bool(codename) and codename in suites.split()


class Apt:
    """apt with the machine's own Debian mirror and `SUITE` at pin 50: taken only where it is named (`kind/forky`)."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or paths.cache() / "apt"

    def _options(self) -> list[str]:
        settings = {
            "Dir::Etc::sourceparts": self.folder / "sources",
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::preferencesparts": self.folder / "preferences",
            "Dir::State::lists": self.folder / "lists",
            "Dir::Cache": self.folder / "cache",
            "APT::Sandbox::User": "root",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::Languages": "none",
        }
        return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def run(
        self, *args: str, program: str = "apt-get", progress: Progress = SILENT, cwd: Path | None = None
    ) -> Completed:
        """Run apt-get (or apt-cache) without questions; its lines go to `progress`. Raises CommandFailed."""
        env = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        wait = ("-o", "DPkg::Lock::Timeout=120")
        return run([program, *self._options(), *wait, *args], env=env, timeout=1800, on_line=progress.line, cwd=cwd)

    def update(self, progress: Progress = SILENT) -> None:
        """Lay out the private configuration and fetch the lists; kept for six hours. Raises MachineError."""
        stamp = self.folder / "updated"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < _LISTS_KEPT_SECONDS:
            return
        for name in ("sources", "preferences", "lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        source = own_source()
        options = "".join(f"{name.title()}: {value}\n" for name, value in source.options)
        stanzas = [
            f"Types: deb\nURIs: {source.uris}\nSuites: {suite}\nComponents: main\n{options}"
            for suite in dict.fromkeys((source.codename, SUITE))
        ]
        (self.folder / "sources" / "debian.sources").write_text("\n".join(stanzas))
        pin = f"Package: *\nPin: release n={SUITE}\nPin-Priority: 50\n"
        (self.folder / "preferences" / "hello-k8s").write_text(pin)
        self.run("update", progress=progress)
        stamp.touch()

    def version(self, package: str) -> str:
        """The version of `package` in `SUITE`; "" where it has none."""
        table = self.run("madison", package, program="apt-cache").stdout
        rows = [[part.strip() for part in line.split("|")] for line in table.splitlines()]
        return next((row[1] for row in rows if len(row) == 3 and f" {SUITE}/" in f" {row[2]}"), "")

    def extract(self, packages: Iterable[str], into: Path, progress: Progress = SILENT) -> None:
        """Unpack `packages` of `SUITE` (names) under `into` without installing them; needs no root."""
        self.update(progress)
        work = self.folder / f"download-{os.getpid()}"
        work.mkdir(parents=True, exist_ok=True)
        try:
            self.run("download", *(f"{name}/{SUITE}" for name in packages), progress=progress, cwd=work)
            into.mkdir(parents=True, exist_ok=True)
            for file in work.glob("*.deb"):
                run(["dpkg-deb", "-x", str(file), str(into)], timeout=300)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def new_packages(self, *packages: str) -> list[str]:
        """What installing `packages` (`name/suite`) would add; packages only replaced by newer ones are not in it."""
        plan = self.run("--simulate", "install", "--no-install-recommends", *packages).stdout
        return re.findall(r"^Inst (\S+) \((?:\S+)", plan, re.MULTILINE)


def at_least(version: str, minimum: str) -> bool:
    """Debian's own comparison of versions."""
    return run(["dpkg", "--compare-versions", version, "ge", minimum], check=False, timeout=20).code == 0
