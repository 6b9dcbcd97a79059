"""The script that a team writes: what it runs, word by word, and what counts as a run of it."""

from __future__ import annotations

import json
import subprocess

import pytest

from benchmarks.measure import FailedError
from benchmarks.team_script import PHASES, TeamScript

RECORDER = """\
#!/bin/bash
printf '%s\\n' "$PWD" "${{SLOT-}}" "$@" > {calls}/"$(basename "$0")"-$$
{then}
"""


def digest(number):
    return f"sha256:{number:064x}"


def metadata(names):
    # The keys and the layout are buildx's, whose metadata file is indented and sorted.
    return {
        name: {
            "buildx.build.ref": "warm/warm0/abc",
            "containerimage.config.digest": digest(100 + number),
            "containerimage.descriptor": {"digest": digest(number), "size": 1},
            "containerimage.digest": digest(number),
            "image.name": f"localhost:5000/p-bake/{name}:latest",
        }
        for number, name in enumerate(names)
    }


def program(folder, calls, name, then="exit 0"):
    file = folder / name
    file.write_text(RECORDER.format(calls=calls, then=then), encoding="utf-8")
    file.chmod(0o755)
    return file


class World:
    """Programs that write down how they are called, in a folder whose name wants quoting."""

    def __init__(self, folder, names=("a", "b", "c")):
        self.calls = folder / "calls"
        self.programs = folder / "pro grams"
        self.source = folder / "it's here"
        for made in (self.calls, self.programs, self.source):
            made.mkdir()
        self.names = names
        self.told = folder / "told.json"
        self.told.write_text(json.dumps(metadata(names), indent=2, sort_keys=True))
        self.script = TeamScript(
            buildx=program(self.programs, self.calls, "buildx", f'cp {self.told} "$7"'),
            trivy=program(self.programs, self.calls, "trivy", '> "${@: -2:1}"'),
            notation=program(self.programs, self.calls, "notation"),
            builder="warm",
            source=self.source,
            work=folder / "wo rk",
            caches=folder / "ca ches",
        )

    def run(self):
        return subprocess.run(self.script.write(), check=False, capture_output=True, text=True)

    def called(self, name):
        """Return the working folder, the slot and the words of each call, by the last word."""
        texts = [file.read_text(encoding="utf-8") for file in self.calls.glob(f"{name}-*")]
        return sorted((text.splitlines() for text in texts), key=lambda words: words[-1])


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_it_bakes_once_and_scans_and_signs_each_digest(world):
    done = world.run()
    assert done.returncode == 0, done.stderr
    images = [f"localhost:5000/p-bake/{name}@{digest(n)}" for n, name in enumerate("abc")]
    assert world.called("buildx") == [[str(world.source), "", *world.script.bake[1:]]]
    assert world.called("notation") == [
        [str(world.script.work), "", *world.script.sign[1:], image] for image in images
    ]
    slots = [words[1] for words in world.called("trivy")]
    assert world.called("trivy") == [
        [
            *(str(world.script.work), slot, *world.script.scan[1:]),
            *("--cache-dir", str(world.script.slots()[int(slot)])),
            *("--output", f"reports/{image.rpartition('/')[2]}.json", image),
        ]
        for image, slot in zip(images, slots, strict=True)
    ]


def test_it_tells_the_seconds_of_its_phases(world):
    assert world.run().returncode == 0
    phases = world.script.phases(world.names)
    assert tuple(phases) == PHASES
    assert all(0 < seconds < 60 for seconds in phases.values())
    (world.script.work / "times").write_text("10.5\n12,5\n13.0\n17.0\n", encoding="utf-8")
    assert world.script.phases(world.names) == {"bake": 2.0, "trivy": 0.5, "notation": 4.0}


def test_a_run_that_scanned_other_images_or_did_not_end_does_not_count(world):
    assert world.run().returncode == 0
    with pytest.raises(FailedError, match="scanned"):
        world.script.phases(["a", "b", "c", "d"])
    (world.script.work / "times").write_text("1\n2\n", encoding="utf-8")
    with pytest.raises(FailedError, match="2 times"):
        world.script.phases(world.names)


@pytest.mark.parametrize("name", ["buildx", "trivy", "notation"])
def test_it_fails_with_any_of_its_programs_and_goes_no_further(world, name):
    program(world.programs, world.calls, name, "exit 1")
    assert world.run().returncode != 0
    order = ("buildx", "trivy", "notation")
    for later in order[order.index(name) + 1 :]:
        assert world.called(later) == []


def test_the_reports_of_an_earlier_run_are_gone(world):
    assert world.run().returncode == 0
    world.told.write_text(json.dumps(metadata(["a"]), indent=2, sort_keys=True))
    assert world.run().returncode == 0
    world.script.phases(["a"])


def test_each_of_the_four_has_a_cache_of_its_own(world):
    assert len(set(world.script.slots())) == 4
    assert world.script.text().count("xargs -P 4 -n 1 ") == 2
