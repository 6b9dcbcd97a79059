"""What was measured, as text, JSON and Markdown."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figures import ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.cases import Case
    from benchmarks.figures import Figures

__all__ = ["Result", "document", "machine", "markdown"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One case and its figures; a contender that failed has none."""

    case: Case
    figures: dict[str, Figures]
    """By contender, and by what contenders tell of parts of their runs."""

    @property
    def failed(self) -> list[str]:
        """The contenders that could not be measured."""
        return [one.name for one in self.case.contenders if one.name not in self.figures]

    def goals(self) -> list[dict[str, Any]]:
        """Return each goal with what was reached; ``reached`` is None where one has no figures."""
        found = []
        for goal in self.case.goals:
            ours, peer = self.figures.get(goal.ours), self.figures.get(goal.peer)
            known = ours is not None and peer is not None
            found.append(
                {
                    "goal": goal.text(),
                    "ratio": round(ratio(ours, peer), 4) if ours and peer else None,
                    "reached": goal.reached(ours, peer) if known and ours and peer else None,
                }
            )
        for name, limit in self.case.memory.items():
            figures = self.figures.get(name)
            reached = figures.memory < limit if figures else None
            goal_text = f"{name} < {limit:g} MB"
            found.append({"goal": goal_text, "ratio": None, "reached": reached})
        return found


def document(results: Sequence[Result], about: dict[str, str]) -> dict[str, Any]:
    """Return the whole report for JSON."""
    return {
        "schema": 1,
        "machine": about,
        "cases": [
            {
                "name": result.case.name,
                "about": result.case.about,
                "figures": {name: one.document() for name, one in result.figures.items()},
                "failed": result.failed,
                "goals": result.goals(),
            }
            for result in results
        ],
    }


def markdown(results: Sequence[Result], about: dict[str, str]) -> str:
    """Return tables for people; they read well as plain text, too."""
    lines = [", ".join(f"{key} {value}" for key, value in about.items()), ""]
    for result in results:
        lines += [f"## {result.case.name}", "", f"{result.case.about}.", "", *_table(result), ""]
        lines += [_goal(goal) for goal in result.goals()]
        lines.append("")
    return "\n".join(lines)


def _table(result: Result) -> list[str]:
    head = ("contender", "median s", "min s", "max s", "ratio", "CPU s", "peak MB", "runs")
    rows: list[tuple[str, ...]] = [head]
    first = result.figures.get(result.case.contenders[0].name)
    names = [one.name for one in result.case.contenders]
    for name in [*names, *(part for part in result.figures if part not in names)]:
        one = result.figures.get(name)
        if one is None:
            rows.append((name, "failed", *[""] * 6))
            continue
        times = f"{ratio(one, first):.2f}" if first else ""
        seconds = [f"{value:.3f}" for value in (one.median, one.low, one.high)]
        used = (f"{one.cpu:.2f}", f"{one.memory:.0f}") if name in names else ("", "")
        rows.append((name, *seconds, times, *used, str(one.runs)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "| "
        + " | ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    rule = [" " + "-" * width + (":" if column else " ") for column, width in enumerate(widths)]
    lines.insert(1, "|" + "|".join(rule) + "|")
    return lines


def _goal(goal: dict[str, Any]) -> str:
    word = {True: "reached", False: "MISSED", None: "not measured"}[goal["reached"]]
    times = f" (ratio {goal['ratio']:.3f})" if goal["ratio"] is not None else ""
    return f"- {word}: {goal['goal']}{times}"


def machine() -> dict[str, str]:
    """Say what this machine is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cores": f"{os.cpu_count()} ({model})",
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
    }
