"""``python -m benchmarks [--quick] [--output FOLDER] [--only CASE] [--images N] [--runs N]``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import cascades, cases, whole
from benchmarks.measure import compare
from benchmarks.peers import open_peers
from benchmarks.report import Result, document, machine, markdown

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.peers import Peers

_CASES = (
    "warm",
    "fresh",
    "leaf",
    "plan",
    "evidence",
    "nox",
    "import",
    "cascade-rebuild",
    "whole-nothing",
    "whole-leaf",
    "whole-base",
)


def main() -> int:
    """Run the comparisons; return 1 if something could not be measured, whatever the figures."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, few runs")
    parser.add_argument("--output", type=Path, default=Path(".aksci/bench"), metavar="FOLDER")
    parser.add_argument("--only", action="append", choices=_CASES, help="may be repeated")
    parser.add_argument("--runs", type=int, help="how often each command is measured")
    parser.add_argument(
        "--images",
        type=_images,
        action="append",
        help="of a cascade, or of a whole job; may be repeated",
    )
    options = parser.parse_args()
    # A cancelled CI job sends SIGTERM; the daemons end, and the folders go, in either case.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    sizes = cases.QUICK if options.quick else cases.FULL
    if options.images:
        sizes = replace(sizes, dependents=tuple(options.images), whole=tuple(options.images))
    chosen = set(options.only or _CASES)
    with (
        tempfile.TemporaryDirectory(prefix="aksci-bench-") as folder,
        open_peers(Path(folder)) as peers,
    ):
        results = [
            _measure(make(), options.runs)
            for name in _CASES
            if name in chosen
            for make in _makers(name, peers, sizes)
        ]
    about = {**machine(), "sizes": sizes.name}
    text = markdown(results, about)
    _write(options.output, text, json.dumps(document(results, about), indent=2))
    sys.stdout.write(text + "\n")
    return 1 if any(one.failed for one in results) else 0


def _images(text: str) -> int:
    """Read a number of images.

    :raises ValueError: it is none, or not above 0; argparse tells it.
    """
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _makers(name: str, peers: Peers, sizes: cases.Sizes) -> list[Callable[[], cases.Case]]:
    """Return what prepares each comparison of a name, when its turn comes."""
    single: dict[str, Callable[[Peers, cases.Sizes], cases.Case]] = {
        "warm": cases.warm,
        "fresh": cases.fresh,
        "leaf": cases.leaf,
        "plan": cases.plan,
        "evidence": cases.evidence,
        "nox": cases.nox_list,
        "import": cases.import_alone,
    }
    if name in single:
        return [partial(single[name], peers, sizes)]
    jobs = {"whole-nothing": whole.nothing, "whole-leaf": whole.leaf, "whole-base": whole.base}
    if name in jobs:
        return [partial(jobs[name], peers, images, runs=sizes.slow_runs) for images in sizes.whole]
    return [
        partial(cascades.rebuilt, peers, images, runs=sizes.cascades) for images in sizes.dependents
    ]


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
