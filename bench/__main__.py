"""``python -m bench [store|startup|pods|api|proxy ...]``: measure, print, and keep bench/RESULTS.md true."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from bench.report import machine, table

PARTS = {
    "store": "The store",
    "startup": "Starting, and doing nothing",
    "pods": "Pods",
    "api": "The API server",
    "proxy": "Forwarding rules",
}
RESULTS = Path(__file__).with_name("RESULTS.md")


def main(names: list[str]) -> None:
    unknown = set(names) - PARTS.keys()
    if unknown:
        sys.exit(f"bench: no such part: {', '.join(sorted(unknown))} (there are {', '.join(PARTS)})")
    for name in names or PARTS:
        print(f"== {PARTS[name]}", flush=True)
        section = f"Measured on {machine()}.\n\n{table(importlib.import_module(f'bench.{name}').measure())}\n"
        print(section, flush=True)
        RESULTS.write_text(replace(RESULTS.read_text(), PARTS[name], section))


def replace(text: str, title: str, section: str) -> str:
    """The document with one section exchanged; the others keep their figures and dates."""
    new = f"## {title}\n\n{section}"
    pattern = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.M | re.S)
    return pattern.sub(lambda _: f"{new}\n", text) if pattern.search(text) else f"{text.rstrip()}\n\n{new}"


if __name__ == "__main__":
    main(sys.argv[1:])
