"""Equal files are stamped alike, and nobody else's are, but in a class whose submissions don't hear of each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from hello_k8s import paths
from hello_k8s.catalog import Lab
from hello_k8s.grading.nonce import APART, SECRET, nonce_of

NAME = PurePosixPath("Dockerfile")


@pytest.fixture
def answers(small: Lab, tmp_path: Path) -> tuple[dict[PurePosixPath, Path], dict[PurePosixPath, Path]]:
    """The files of two learners."""
    other = tmp_path / "Dockerfile"
    other.write_text("FROM scratch\n# another\n")
    return {NAME: small.solution / "Dockerfile"}, {NAME: other}


def test_a_workspace_is_stamped_alike_until_a_file_changes(small: Lab, answers) -> None:  # type: ignore[no-untyped-def]
    one, other = answers
    assert nonce_of(small, one) == nonce_of(small, one) != nonce_of(small, other)
    assert nonce_of(small, one) != nonce_of(replace(small, id="ch1/else"), one)


def test_another_checkout_has_another_secret(small: Lab, answers) -> None:  # type: ignore[no-untyped-def]
    before = nonce_of(small, answers[0])
    secret = paths.state() / "secret"
    assert secret.stat().st_mode & 0o777 == 0o600 and [*paths.state().glob("secret*")] == [secret]
    secret.unlink()
    assert nonce_of(small, answers[0]) != before


def test_all_of_a_class_are_stamped_alike_where_they_are_kept_apart(  # type: ignore[no-untyped-def]
    small: Lab, answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = answers
    monkeypatch.setenv(SECRET, "class one")
    before = nonce_of(small, one)
    assert before == nonce_of(small, one) != nonce_of(small, other)
    monkeypatch.setenv(APART, "1")
    assert nonce_of(small, one) == nonce_of(small, other) != before
    monkeypatch.setenv(SECRET, "class two")
    assert nonce_of(small, one) != before
