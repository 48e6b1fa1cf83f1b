"""Figures, and the table that RESULTS.md is made of."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured number. ``met`` is ``None`` where there is no budget to meet."""

    what: str
    measured: str
    budget: str = ""
    yardstick: str = ""
    met: bool | None = None


def at_most(what: str, value: float, limit: float, unit: str, yardstick: str = "") -> Figure:
    return Figure(what, f"{value:.4g} {unit}", f"≤ {limit:g} {unit}", yardstick, value <= limit)


def at_least(what: str, value: float, limit: float, unit: str, yardstick: str = "") -> Figure:
    return Figure(what, f"{value:,.0f} {unit}", f"≥ {limit:,.0f} {unit}", yardstick, value >= limit)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def machine() -> str:
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown processor")
    cores = Path("/proc/cpuinfo").read_text().count("processor\t")
    gib = int(next(line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines()
                   if line.startswith("MemTotal"))) / 2**20
    return (f"{cores} cores of {model}, {gib:.0f} GiB, Linux {platform.release().split('-')[0]}, "
            f"Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}")


def table(figures: Sequence[Figure]) -> str:
    rows = ["| what | measured | budget | met | yardstick of the same run |", "|---|---|---|---|---|"]
    for f in figures:
        met = {None: "", True: "yes", False: "**no**"}[f.met]
        rows.append(f"| {f.what} | {f.measured} | {f.budget} | {met} | {f.yardstick} |")
    return "\n".join(rows)
