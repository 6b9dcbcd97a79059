"""The script that a team writes today: bake all images, scan each, sign each, four at once.

It is what Docker's, Trivy's and the Notary Project's documentation show, joined as a shell script,
and as quick as these programs allow: bake builds and pushes in one solve, and writes the digests
down; Trivy has its database and a layer cache for each of the four (one folder has one user: it is
locked); notation signs with a key in a file. Nothing tells it which images changed: it scans and
signs all.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measure import FailedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["PHASES", "TeamScript"]

PHASES = ("bake", "trivy", "notation")
"""What it does, in order."""
_AT_ONCE = 4
# buildx sorts the keys of its metadata file: of each target, the digest comes before the name.
_PAIRS = r"""sed -n \
  -e '/"containerimage.digest": /{s/.*: "\([^"]*\)".*/\1/;h;}' \
  -e '/"image.name": /{s/.*: "\([^"]*\):latest".*/\1/;G;s/\n/@/;p;}' \
  metadata.json > images
"""


@dataclass(frozen=True, kw_only=True)
class TeamScript:
    """The script, and the programs and folders that it needs."""

    buildx: Path
    trivy: Path
    notation: Path
    builder: str
    source: Path
    """Where ``docker-bake.json`` is."""
    work: Path
    """Where it writes digests, reports and times; empty before it runs for the first time."""
    caches: Path
    """``slot-0`` to ``slot-3``: Trivy's cache folders, each with the database."""

    @property
    def bake(self) -> tuple[str, ...]:
        """Build and push all images in one solve, and write their digests down."""
        metadata = str(self.work / "metadata.json")
        words = ("bake", "--builder", self.builder, "--progress", "plain")
        return (str(self.buildx), *words, "--metadata-file", metadata, "default")

    @property
    def scan(self) -> tuple[str, ...]:
        """Scan one image, whose name follows: it fails where a fix for a critical finding exists.

        Its words are for a shell that knows ``SLOT``, as all of ``xargs`` are.
        """
        words = "image --quiet --format json --image-src remote --insecure --skip-db-update"
        words += " --skip-java-db-update --skip-version-check --offline-scan"
        words += " --scanners vuln,secret --severity CRITICAL --ignore-unfixed --exit-code 1"
        return (str(self.trivy), *words.split())

    @property
    def sign(self) -> tuple[str, ...]:
        """Sign one image, whose name follows, with the default key."""
        words = "sign --insecure-registry --force-referrers-tag=false"
        return (str(self.notation), *words.split())

    def slots(self) -> tuple[Path, ...]:
        """Return the cache folders of the four."""
        return tuple(self.caches / f"slot-{number}" for number in range(_AT_ONCE))

    def text(self) -> str:
        """Return it, for bash: ``EPOCHREALTIME`` costs no process."""
        # One image a call, its report beside the others', and a cache that no other call uses.
        cached = f'--cache-dir {shlex.quote(str(self.caches))}/slot-"$SLOT"'
        report = '--output reports/"${1##*/}".json'
        scan = f'{shlex.join(self.scan)} {cached} {report} "$1"'
        at_once = f"xargs -P {_AT_ONCE} -n 1"
        return "\n".join(
            (
                "set -euo pipefail",
                f"cd {shlex.quote(str(self.work))}",
                "rm -rf reports images metadata.json && mkdir reports",
                'echo "$EPOCHREALTIME" > times',
                f"(cd {shlex.quote(str(self.source))} && {shlex.join(self.bake)})",
                _PAIRS + 'echo "$EPOCHREALTIME" >> times',
                f"{at_once} --process-slot-var=SLOT sh -c {shlex.quote(scan)} scan < images",
                'echo "$EPOCHREALTIME" >> times',
                f"{at_once} {shlex.join(self.sign)} < images",
                'echo "$EPOCHREALTIME" >> times',
                "",
            )
        )

    def write(self) -> tuple[str, ...]:
        """Write it; return the command that runs it."""
        self.work.mkdir(parents=True, exist_ok=True)
        file = self.work / "release.sh"
        file.write_text(self.text(), encoding="utf-8")
        return ("bash", str(file))

    def phases(self, images: Sequence[str]) -> Mapping[str, float]:
        """Return the seconds of its last run's phases.

        :param images: those that it must have scanned.
        :raises FailedError: it scanned others, or did not come to its end.
        """
        files = (self.work / "reports").iterdir()  # named image@digest.json
        done = {file.name.partition("@")[0] for file in files}
        if done != set(images):
            raise FailedError(f"the script scanned {sorted(done)}, not {sorted(images)}")
        lines = (self.work / "times").read_text(encoding="utf-8").split()
        times = [float(line.replace(",", ".")) for line in lines]  # the locale's decimal point
        if len(times) != len(PHASES) + 1:
            raise FailedError(f"the script wrote {len(times)} times")
        return {
            phase: end - begin
            for phase, begin, end in zip(PHASES, times[:-1], times[1:], strict=True)
        }
