"""The grammar of label selectors as text: tokens, then requirements by recursive descent.

``requirement (, requirement)*`` where a requirement is ``[!] KEY``, ``KEY (= | == | != | > | <) [VALUE]`` or
``KEY (in | notin) ( VALUE, ... )``.  ``in`` and ``notin`` are keywords only where an operator is expected.

Upstream: apimachinery/pkg/labels/selector.go; the error texts are its.
"""

from __future__ import annotations

import re

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.api.selectors import BINARY_OPERATORS, Requirement, SelectorError, requirement

_TOKEN = re.compile(r"[ \t\r\n]*(?:(?P<symbol>==|!=|[=!(),><])|(?P<word>[^ \t\r\n=!(),><]+)|$)")
_OPERATOR = {"in": "in", "notin": "notin", "=": "=", "==": "==", "!=": "!=", ">": "gt", "<": "lt"}
WORD, SYMBOL, END = "word", "symbol", "end"
Token = tuple[str, str]


def parse(text: str) -> list[Requirement]:
    """The requirements, in the order of the text. Raises: SelectorError."""
    return _Parser(tokens(text)).selector()


def tokens(text: str) -> list[Token]:
    """``[(kind, literal), ..., (END, "")]``."""
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            break
        found.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return [*found, (END, "")]


class _Parser:
    def __init__(self, scanned: list[Token]) -> None:
        self.scanned = scanned
        self.position = 0

    def peek(self) -> Token:
        return self.scanned[self.position]

    def take(self) -> Token:
        token = self.scanned[self.position]
        self.position = min(self.position + 1, len(self.scanned) - 1)
        return token

    def selector(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            kind, literal = self.peek()
            if kind == END:
                return found
            if not self.starts_requirement():
                raise SelectorError(f"found '{literal}', expected: !, identifier, or 'end of string'")
            found.append(self.wrapped_requirement())
            kind, literal = self.take()
            if kind == END:
                return found
            if literal != ",":
                raise SelectorError(f"found '{literal}', expected: ',' or 'end of string'")
            if not self.starts_requirement():
                raise SelectorError(f"found '{self.peek()[1]}', expected: identifier after ','")

    def starts_requirement(self) -> bool:
        kind, literal = self.peek()
        return kind == WORD or literal == "!"

    def wrapped_requirement(self) -> Requirement:
        try:
            return self.requirement()
        except SelectorError as error:
            raise SelectorError(f"unable to parse requirement: {error}") from None

    def requirement(self) -> Requirement:
        negated = self.peek()[1] == "!"
        if negated:
            self.take()
        key = self.key()
        if self.peek() in ((END, ""), (SYMBOL, ",")):
            return requirement(key, "!" if negated else "exists", ())
        # "!key=value" reaches this point too: upstream forgets the "!" then, and so clients rely on it
        return requirement(key, *self.restriction())

    def key(self) -> str:
        kind, literal = self.take()
        if kind != WORD:
            raise SelectorError(f"found '{literal}', expected: identifier")
        if messages := names.qualified_name(literal):
            raise SelectorError(str(FieldError.invalid("<nil>", literal, "; ".join(messages))))
        return literal

    def restriction(self) -> tuple[str, list[str]]:
        literal = self.take()[1]
        operator = _OPERATOR.get(literal)
        if operator is None:
            raise SelectorError(f"found '{literal}', expected: {', '.join(BINARY_OPERATORS)}")
        return operator, self.value_set() if operator in ("in", "notin") else [self.exact_value()]

    def exact_value(self) -> str:
        if self.peek() in ((END, ""), (SYMBOL, ",")):
            return ""
        kind, literal = self.take()
        if kind != WORD:
            raise SelectorError(f"found '{literal}', expected: identifier")
        return literal

    def value_set(self) -> list[str]:
        """``(a,b)``; between commas the empty value may stand."""
        literal = self.take()[1]
        if literal != "(":
            raise SelectorError(f"found '{literal}' expected: '('")
        values, current = set(), ""
        while True:
            kind, literal = self.take()
            if kind == WORD and not current:
                current = literal
                if self.peek()[1] not in (",", ")"):
                    raise SelectorError(f"found '{self.peek()[1]}', expected: ',' or ')'")
            elif literal == ",":
                values.add(current)
                current = ""
            elif literal == ")":
                return sorted(values | {current})
            else:
                raise SelectorError(f"found '{literal}', expected: ',', or identifier")
