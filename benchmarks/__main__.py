"""``python -m benchmarks [--quick] [--output FOLDER] [--only CASE]``: measure and report."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import cases
from benchmarks.measure import compare
from benchmarks.peers import open_bench
from benchmarks.report import Result, document, machine, markdown

if TYPE_CHECKING:
    from collections.abc import Callable

_CASES = ("warm", "fresh", "leaf", "plan", "evidence", "nox")


def main() -> int:
    """Run the comparisons; return 1 if something could not be measured, whatever the figures."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, few runs")
    parser.add_argument("--output", type=Path, default=Path(".aksci/bench"), metavar="FOLDER")
    parser.add_argument("--only", action="append", choices=_CASES, help="may be repeated")
    parser.add_argument("--runs", type=int, help="how often each command is measured")
    options = parser.parse_args()
    # A cancelled CI job sends SIGTERM; the daemons end, and the folders go, in either case.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    sizes = cases.QUICK if options.quick else cases.FULL
    wanted = set(options.only or _CASES)
    with (
        tempfile.TemporaryDirectory(prefix="aksci-bench-") as folder,
        open_bench(Path(folder)) as bench,
    ):
        makers: dict[str, Callable[[], cases.Case]] = {
            "warm": lambda: cases.warm(bench, sizes),
            "fresh": lambda: cases.fresh(bench, sizes),
            "leaf": lambda: cases.leaf(bench, sizes),
            "plan": lambda: cases.plan(bench, sizes),
            "evidence": lambda: cases.evidence(bench, sizes),
            "nox": lambda: cases.nox_list(bench, sizes),
        }
        results = [_measure(makers[name](), options.runs) for name in _CASES if name in wanted]
    about = {**machine(), "sizes": sizes.name}
    text = markdown(results, about)
    _write(options.output, text, json.dumps(document(results, about), indent=2))
    sys.stdout.write(text + "\n")
    complete = all(len(one.figures) == len(one.case.contenders) for one in results)
    return 0 if complete else 1


def _measure(case: cases.Case, runs: int | None) -> Result:
    _tell(f"── {case.name}: {case.about}")
    figures = compare(case.contenders, runs=runs or case.runs, tell=_tell)
    return Result(case=case, figures=figures)


def _write(folder: Path, text: str, data: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(text + "\n", encoding="utf-8")
    (folder / "report.json").write_text(data + "\n", encoding="utf-8")
    _tell(f"written: {folder}/report.md and report.json")


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
