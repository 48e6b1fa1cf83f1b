"""Quantities: exact numbers with a suffix, such as ``100m``, ``1.5Gi``, ``2e3``.

A parsed quantity is a ``Fraction`` that remembers which family of suffixes it was written with, because the canonical
form keeps the family: no precision is lost, no fraction is shown, and the suffix is the largest possible one.  Nothing
finer than a billionth is kept (rounded away from zero); binary suffixes end at 2^63-1.

Upstream: apimachinery/pkg/api/resource.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

PATTERN = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
FORMAT_WRONG = f"quantities must match the regular expression '{PATTERN}'"
DECIMAL_SI, BINARY_SI, DECIMAL_EXPONENT = "DecimalSI", "BinarySI", "DecimalExponent"

_PARTS = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = ("", *_BINARY)
_LARGEST = Fraction(2**63 - 1)
_NANO = 10**9


class QuantityError(ValueError):
    """The text is not a quantity; the message is upstream's."""


class Quantity(Fraction):
    """An exact amount with its family of suffixes. Arithmetic gives plain ``Fraction`` values (``DecimalSI``)."""

    __slots__ = ("format",)
    format: str

    def __str__(self) -> str:
        return canonical(self)


Amount = str | int | float | Fraction


def parse(value: Amount) -> Quantity:
    """Reads a quantity as it stands in JSON: text, or a bare number. Raises: QuantityError."""
    if isinstance(value, Quantity):
        return value
    if isinstance(value, Fraction):
        return _quantity(value, DECIMAL_SI)
    if isinstance(value, bool):
        raise QuantityError(FORMAT_WRONG)
    return _parse_text(value.strip() if isinstance(value, str) else repr(value))


def of(amount: Fraction | int, format: str = DECIMAL_SI) -> Quantity:
    """The quantity of a computed amount, to be written with that family of suffixes."""
    return _quantity(Fraction(amount), format)


def _quantity(amount: Fraction, format: str) -> Quantity:
    if amount.denominator > 1 and _NANO % amount.denominator:
        sign = -1 if amount < 0 else 1
        amount = Fraction(-(-abs(amount.numerator) * _NANO // amount.denominator) * sign, _NANO)
    if format == BINARY_SI:
        amount = max(-_LARGEST, min(_LARGEST, amount))
    quantity = Quantity(amount)
    quantity.format = format
    return quantity


@lru_cache(maxsize=4096)
def _parse_text(text: str) -> Quantity:
    match = _PARTS.fullmatch(text)
    if match is None:
        raise QuantityError(FORMAT_WRONG)
    sign, whole, part, suffix = match.groups(default="")
    if not whole and not part:
        raise QuantityError(FORMAT_WRONG if not text or "." not in text else
                            "unable to parse numeric part of quantity")
    scale, format = _scale(suffix)
    amount = Fraction(int(whole + part or "0"), 10 ** len(part)) * scale
    return _quantity(-amount if sign == "-" else amount, format)


def _scale(suffix: str) -> tuple[Fraction, str]:
    if suffix in _DECIMAL:
        return Fraction(10) ** _DECIMAL[suffix], DECIMAL_SI
    if suffix in _BINARY:
        return Fraction(2 ** _BINARY[suffix]), BINARY_SI
    if match := re.fullmatch(r"[eE]([-+]?[0-9]{1,9})", suffix):
        # no sane amount is beyond these, and 10^999999999 would take all memory
        return Fraction(10) ** max(-400, min(400, int(match[1]))), DECIMAL_EXPONENT
    raise QuantityError("unable to parse quantity's suffix")


def value(amount: Amount) -> int:
    """In units, rounded up: bytes of memory, whole cores."""
    exact = parse(amount)
    return -(-exact.numerator // exact.denominator)


def milli(amount: Amount) -> int:
    """In thousandths, rounded up: ``cpu_millicores``."""
    exact = parse(amount)
    return -(-exact.numerator * 1000 // exact.denominator)


def canonical(amount: Amount) -> str:
    """The one way to write the amount: ``0.5`` is ``500m``, ``1024Mi`` is ``1Gi``, ``1000`` is ``1k``."""
    if amount.__class__ is str:
        return _canonical_text(amount)
    exact = parse(amount)
    return _canonical(exact.numerator, exact.denominator, exact.format)


@lru_cache(maxsize=4096)
def _canonical_text(text: str) -> str:
    exact = parse(text)
    return _canonical(exact.numerator, exact.denominator, exact.format)


def _canonical(numerator: int, denominator: int, format: str) -> str:
    if not numerator:
        return "0"
    if format == BINARY_SI and denominator == 1 and abs(numerator) >= 1024:
        power = 0
        while numerator % 1024 == 0 and power < len(_BINARY):
            numerator, power = numerator // 1024, power + 1
        return f"{numerator}{_BINARY_SUFFIX[power]}"
    number, exponent = numerator * (_NANO // denominator), -9
    while number % 1000 == 0 and (exponent < 18 or format == DECIMAL_EXPONENT):
        number, exponent = number // 1000, exponent + 3
    if format == DECIMAL_EXPONENT:
        return f"{number}e{exponent}" if exponent else str(number)
    return f"{number}{_DECIMAL_SUFFIX[exponent]}"
