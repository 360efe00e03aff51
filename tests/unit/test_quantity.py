"""Quantities as Kubernetes reads them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from hello_k8s.machine.quantity import amount


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0), ("2", 2), ("30m", Fraction(3, 100)), ("1500m", Fraction(3, 2)), ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)), ("2.", 2), ("512Mi", 512 * 2**20), ("2Gi", 2 * 2**30), ("1k", 1000), ("1e3", 1000),
        ("12E", 12 * 10**18), ("100n", Fraction(1, 10**7)), ("-1", -1), ("+1.5Ki", 1536),
    ],
)  # fmt: skip
def test_a_quantity_is_a_number(text: str, number: Fraction) -> None:
    assert amount(text) == number


@pytest.mark.parametrize("text", ["", "Mi", "1 Mi", "1mi", "one", "1MiB", "1,5", "e3", "1e999", ".", "٣"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text.replace(".", r"\.") or None):
        amount(text)
