"""The containers that a submission's compose.yaml describes, started in the nested engine one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from hello_k8s import catalog
from hello_k8s.grading.built import BuiltImage
from hello_k8s.grading.cgroup import FILES, Inside, look_inside
from hello_k8s.grading.compose import FILE, Service, read_compose
from hello_k8s.grading.containers import Container
from hello_k8s.grading.verdict import Unmet
from hello_k8s.language import both

if TYPE_CHECKING:
    from hello_k8s.grading.attempt import Attempt


class Composed:
    """What checks get by the fixture `compose`."""

    def __init__(self, attempt: Attempt, file: str = FILE) -> None:
        self.attempt = attempt
        self.file = file

    @property
    def services(self) -> Mapping[str, Service]:
        """The services as the file says, by name. Raises Unmet for a file that can't be used."""
        return self.attempt.once(f"compose {self.file}", self._read)

    def _read(self) -> dict[str, Service]:
        lab = self.attempt.lab
        images = [catalog.image(name) for name in lab.images]
        names = [*lab.replay.build, *(name for image in images for name in (image.name, *image.aliases))]
        found = read_compose(self.attempt.submission.folder / self.file, self.file, names)
        self.attempt.rewrites += [note for service in found.values() for note in service.notes]
        return found

    def service(self, name: str) -> Service:
        """The service called `name`; Unmet where there is none."""
        if name not in self.services:
            have = ", ".join(self.services)
            raise Unmet(both("compose.no_service", file=self.file, service=name, have=have))
        return self.services[name]

    def start(self, name: str) -> Container:
        """A container of the service `name`; removed after the check. Unmet where it can't be started."""
        service = self.service(name)
        image = service.image.removeprefix("docker.io/")
        if image in self.attempt.lab.replay.build:
            built = self.attempt.images()[image]
        else:
            built = BuiltImage(self.attempt.engine(), image)
        return self.attempt.run(built, *service.arguments, options=service.options())

    def inside(self, name: str) -> Inside:
        """What the kernel says of a container of `name`, once for all checks; limits of ours count as none."""
        return self.attempt.once(f"inside {self.file} {name}", lambda: self._inside(name))

    def _inside(self, name: str) -> Inside:
        service = self.service(name)
        found = look_inside(self.start(name))
        if not set(FILES["swap"]) & set(found.limits.files):
            # this kernel keeps no account of swap, so that no file says what was asked for
            found = replace(found, limits=replace(found.limits, swap=service.swap))
        return found.without(service.unlimited)
