"""Kubernetes' quantities (`30m`, `1500`, `512Mi`) as numbers."""

from __future__ import annotations

import re
from fractions import Fraction

#: k8s.io/apimachinery/pkg/api/resource/quantity.go; a number may have an exponent instead.
_SUFFIXES = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 10**3), "": Fraction(1),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12), "P": Fraction(10**15),
    "E": Fraction(10**18), "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30), "Ti": Fraction(2**40),
    "Pi": Fraction(2**50), "Ei": Fraction(2**60),
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d{0,30}|\.\d{1,30})(?:[eE][+-]?\d{1,2})?)([numkMGTPE]|[KMGTPE]i|)", re.ASCII)


def amount(quantity: str) -> Fraction:
    """The number that `quantity` is, exactly: CPUs, bytes, objects. Raises ValueError for what is none."""
    found = _QUANTITY.fullmatch(quantity)
    if found is None:
        raise ValueError(quantity)
    return Fraction(found[1]) * _SUFFIXES[found[2]]
