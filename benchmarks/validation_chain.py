"""``python -m benchmarks.validation_chain``: a chain of images, each of which is validated.

Builds and validations take as long as they are asked to, and all else is in memory, so that what is
measured is the order alone. A second checkout is measured beside this one, in turns::

    python -m benchmarks.validation_chain --beside ../before
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from aksci import steps
from aksci.parts import Parts
from aksci.testing import MemoryBuilder, MemoryImageRunner, MemoryWorld, open_environment

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from aksci.images.engines.builder import BuildOutput, BuildRequest
    from aksci.images.validate.image_runner import CheckOutcome, CheckTask

__all__ = ["build_chain"]

_CONFIG = """\
schema = 1
[project]
name = "chain"
[discover]
dockerfiles = ["*/Dockerfile"]
"""


class _SlowBuilder(MemoryBuilder):
    seconds = 0.0

    def build(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildOutput:
        time.sleep(self.seconds)
        return super().build(request, on_line)


class _SlowImageRunner(MemoryImageRunner):
    seconds = 0.0

    def run(self, task: CheckTask, halt: threading.Event) -> CheckOutcome:
        time.sleep(self.seconds)
        return super().run(task, halt)


def build_chain(images: int, *, build: float, validation: float) -> float:
    """Build a chain of images, and return the seconds that the step took.

    :param build: seconds that each build takes.
    :param validation: seconds that each image runs.
    """
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aksci-chain-")))
        (root / "aksci.toml").write_text(_CONFIG)
        for number in range(images):
            base = f"chain/i{number - 1}" if number else "scratch"
            (root / f"i{number}").mkdir()
            (root / f"i{number}/Dockerfile").write_text(f"FROM {base}\nLABEL n={number}\n")
        world = MemoryWorld()
        builder, runner = _SlowBuilder(world.connect), _SlowImageRunner()
        builder.seconds, runner.seconds = build, validation
        parts = Parts(builder=builder, image_runner=runner)
        env = stack.enter_context(open_environment(root, world=world, parts=parts))
        began = time.perf_counter()
        steps.build(env)
        return time.perf_counter() - began


def main() -> int:
    """Measure, and print medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--build", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--validation", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help="another checkout of aksci")
    parser.add_argument("--once", action="store_true", help="measure one run, print the seconds")
    options = parser.parse_args()
    if options.once:
        taken = build_chain(options.images, build=options.build, validation=options.validation)
        sys.stdout.write(f"{taken:.3f}\n")
        return 0
    trees = [Path(__file__).parents[1], *([options.beside.resolve()] if options.beside else [])]
    taken_by: dict[Path, list[float]] = {tree: [] for tree in trees}
    for _ in range(options.runs):
        for tree in trees:
            taken_by[tree].append(_in_tree(tree))
    medians = [statistics.median(taken_by[tree]) for tree in trees]
    for tree, median in zip(trees, medians, strict=True):
        sys.stdout.write(f"{tree}: {median:.2f} s, {median / medians[0]:.2f}\n")
    return 0


def _in_tree(tree: Path) -> float:
    """Run this very file with the aksci of a checkout, in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--once"]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    answer = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(answer.stdout)


if __name__ == "__main__":
    sys.exit(main())
