"""Nothing of a submission configures its own grading: pytest's hooks that refuse to go on, taken up by the plugin."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from hello_k8s import paths
from hello_k8s.language import t


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Refuse before the first conftest is imported: importing it is running it."""
    refuse_foreign(early_config)
    options = early_config.known_args_namespace
    if not options.noconftest:
        for name in options.file_or_dir:
            path = Path(str(name).split("::")[0]).resolve()
            foreign = next((f for f in (path / "conftest.py", *_conftests_above(path)) if f.is_file()), None)
            if foreign and not inside(foreign):
                raise pytest.UsageError(outside(foreign))


def _conftests_above(path: Path) -> Iterator[Path]:
    return (parent / "conftest.py" for parent in path.parents)


def refuse_foreign(config: pytest.Config) -> None:
    for path in (config.inipath, config.rootpath):
        if path is not None and not inside(path):
            raise pytest.UsageError(outside(path))


def inside(path: Path) -> bool:
    """In the repository, and not in the learner's own folder of it."""
    path, workspace = path.resolve(), paths.workspace().resolve()
    return path.is_relative_to(paths.ROOT) and not path.is_relative_to(workspace)


def outside(path: Path) -> str:
    return f"{t('grading.outside', path=path)} {t('grading.outside_next')}"


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    outcome = yield
    for plugin in session.config.pluginmanager.get_plugins():
        file = getattr(plugin, "__file__", None)
        if file and Path(file).name == "conftest.py" and not inside(Path(file)):
            raise pytest.UsageError(outside(Path(file)))
    return outcome
