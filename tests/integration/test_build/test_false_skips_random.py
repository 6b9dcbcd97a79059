"""Random contexts and Dockerfiles: what BuildKit makes differently never has the same key."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from aksci.config.loader import load_config
from aksci.core.errors import ConfigError
from aksci.images.context.hasher import TreeHasher
from aksci.images.graph import build_graph
from aksci.images.keys import source_of

PATHS = ["a", "b.txt", "d/a", "d/b.txt", "d/e/a", "d/e/.hidden", "d/f/a", "x y", "[z]", "é", "link"]
LINKS = ["a", "d", "d/e", "../n/a", "/d/a", "missing", "é"]
PATTERNS = [
    "a", "d", "*", "!d/a", "**/a", "d/*", "!d/e", "*.txt", "# no", "d/e/", "/d", "./a", "**", "!a",
    "!**/b.txt", "[z]", "\\[z\\]", "é", "x y", "Dockerfile*", "d/**", "?", "!?", "d/e/..", "!d/e/a",
    "**/e", "!link", "link", "d/[ef]", "**b.txt",
]  # fmt: skip
LINES = [
    "COPY a /", "COPY . /all/", "COPY d /d", "COPY d/ /x/", "COPY *.txt /", "COPY d/* /y/",
    "COPY --parents d/e/a /p/", "COPY --parents d/*/a /p/", "COPY --parents ./d/./e /p/",
    "COPY --parents **/a /p/", "COPY --exclude=*.txt d /ex", "COPY --exclude=**/a . /ex2/",
    "ADD d/e /e", 'COPY ["x y", "/xy"]', "COPY [[]z] /z", "COPY ?z? /z2/", "COPY $P /p1",
    "ARG P=a", "ARG P", "ENV P=d", "ENV Q=${P}/e P=b.txt", "COPY ${P:-a} /p2", "COPY ${Q:-d/f} /p3",
    "COPY <<E /here\nbody $P\nE", "COPY <<'E' a /here2/\nbody\nE", "COPY --chmod=600 a /",
    "COPY --from=n . /n", "COPY --from=n a /", "COPY --link a /l", "COPY link /li", "COPY link/a /",
    "COPY é /", "WORKDIR /w", "COPY d/../a /up", "COPY d/e/../../b.txt /up2", "LABEL p=$P q=${Q}",
    "ONBUILD COPY d/f /onbuild", "COPY --from=one / /one", "FROM scratch AS one", "FROM one AS two",
    "COPY \\\n  # a comment\n  a d/a \\\n  /two/", "USER 1:${P}", "ADD *.txt d /add/",
    "COPY d/[ef]/a /cl/", "COPY [^d] /no/", "COPY ./ /root", "COPY d/e/. /dot",
]  # fmt: skip
CASES, STEPS = 12, 9


class Project:
    """A project of one image without a base, and its random changes."""

    def __init__(self, root, seed):
        self.root = root
        self.chooser = random.Random(seed)  # noqa: S311 - not for secrets
        self.args, self.target = {}, None
        for path in ("ctx/d/e", "ctx/d/f", "n"):
            (root / path).mkdir(parents=True)
        for path in (*PATHS[:-1], "../n/a", "../n/b"):
            (root / "ctx" / path).write_text(path)
        (root / "ctx/link").symlink_to("d/e")
        self.lines = ["FROM scratch AS zero", "COPY d /d"]

    def change(self):
        """Change one or two things, most of them where the image may not look."""
        kinds = [self.write] * 5 + [self.kind] * 3 + [self.mode, self.move, self.argument]
        kinds += [self.ignore] * 2 + [self.instruction] * 4
        for change in self.chooser.choices(kinds, k=self.chooser.choice([1, 1, 2])):
            with contextlib.suppress(OSError):
                change()

    def path(self):
        inside = self.chooser.choice([*PATHS, "../n/a", "../n/b"])
        return self.root / "ctx" / inside

    def remove(self, path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def write(self):
        path = self.path()
        path.parent.mkdir(exist_ok=True)
        if path.exists() and not path.is_file():
            self.remove(path)  # to open a pipe would wait for its other end
        path.write_text(self.chooser.choice("01"))

    def kind(self):
        path = self.path()
        self.remove(path)
        kind = self.chooser.choice(["gone", "link", "folder", "pipe", "socket"])
        if kind == "link":
            path.symlink_to(self.chooser.choice(LINKS))
        elif kind == "folder":
            path.mkdir(parents=True)
            (path / "inner").write_text("inner")
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            folder = os.open(path.parent, os.O_PATH)  # a socket's path ends at 107
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(f"/proc/self/fd/{folder}/{path.name}")
            os.close(folder)

    def mode(self):
        """Change a file's mode; BuildKit may keep a folder's old one from an earlier transfer."""
        if (path := self.path()).is_file():
            path.chmod(self.chooser.choice([0o644, 0o755, 0o600, 0o640, 0o4755]))

    def move(self):
        self.path().replace(self.path())

    def argument(self):
        self.args = self.chooser.choice([{}, {"P": "a"}, {"P": "d/e"}, {"Q": "1"}, {"P": ""}])
        self.target = self.chooser.choice([None, None, "zero", "one"])

    def ignore(self):
        names = ["ctx/.dockerignore", "ctx/.dockerignore", "ctx/Dockerfile.dockerignore"]
        path = self.root / self.chooser.choice([*names, "n/.dockerignore"])
        patterns = self.chooser.choices(PATTERNS, k=self.chooser.randint(0, 3))
        if patterns:
            path.write_text("\n".join(patterns))
        else:
            path.unlink(missing_ok=True)

    def instruction(self):
        if len(self.lines) > 2 and self.chooser.random() < 0.4:
            self.lines.pop(self.chooser.randrange(1, len(self.lines)))
        self.lines.insert(self.chooser.randint(1, len(self.lines)), self.chooser.choice(LINES))

    def save(self):
        """Write the Dockerfile and aksci.toml."""
        (self.root / "ctx/Dockerfile").write_text("\n".join(self.lines) + "\n")
        image = {
            "dockerfile": "ctx/Dockerfile", "context": "ctx", "args": self.args,
            "contexts": {"n": "n"}, **({"target": self.target} if self.target else {}),
        }  # fmt: skip
        rows = "\n".join(f"{key} = {inline(value)}" for key, value in image.items())
        head = 'schema = 1\n[project]\nname = "p"\n'
        (self.root / "aksci.toml").write_text(f"{head}[images.app]\n{rows}\n")

    def key(self):
        """Return the source key; None: BuildKit refuses it, too, or it is built each time."""
        try:
            graph = build_graph(self.root, load_config(self.root / "aksci.toml"))
            image = graph.images["app"]
            found = source_of(image, TreeHasher(self.root)).key
        except ConfigError:
            return None
        return None if image.recipe.opaque or image.recipe.needs else found


def inline(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f'{key} = "{one}"' for key, one in value.items()) + " }"
    return f'"{value}"'


@pytest.fixture
def digest_of(platform, toolbox, tmp_path):
    """Build a project with BuildKit, without any cache; return the image's digest."""
    buildx = toolbox.ensure("buildx")
    environment = {**os.environ, "BUILDX_CONFIG": str(tmp_path / "buildx")}

    def run(*words):
        return subprocess.run([buildx, *words], env=environment, capture_output=True, check=False)

    created = run("create", "--name", "random", "--driver", "remote", platform.buildkit)
    assert created.returncode == 0, created.stderr

    def build(project):
        metadata = project.root / "metadata.json"
        metadata.unlink(missing_ok=True)
        # Times don't count, in keys as in BuildKit's cache.
        output = f"type=oci,dest={project.root}/out.tar,rewrite-timestamp=true"
        words = [f"--build-arg={name}={value}" for name, value in project.args.items()]
        words += ["--target", project.target] if project.target else []
        done = run(
            "build", "--builder", "random", "--no-cache", "--provenance=false",
            "--metadata-file", str(metadata), "--output", output,
            "--build-arg", "SOURCE_DATE_EPOCH=0", "--build-context", f"n={project.root}/n",
            *words, str(project.root / "ctx"),
        )  # fmt: skip
        if done.returncode:
            return None
        return json.loads(metadata.read_text())["containerimage.digest"]

    return build


def walk(root, seed, digest_of):
    """Return each state of a random walk that has a key: key, digest, and what it was."""
    project = Project(root, seed)
    found = []
    for _ in range(STEPS):
        project.save()
        key = project.key()
        digest = digest_of(project) if key else None
        if digest:
            listed = subprocess.run(
                ["find", "ctx", "n", "-printf", "%M %P %l\\n"],
                cwd=root, capture_output=True, check=True,
            )  # fmt: skip
            state = f"{project.lines} {project.args} {project.target}\n{listed.stdout.decode()}"
            found.append((key, digest, state))
        project.change()
    return found


def test_whatever_makes_another_image_makes_another_key(digest_of, tmp_path):
    seeds = range(CASES)
    with ThreadPoolExecutor(4) as pool:
        walks = list(pool.map(lambda seed: walk(tmp_path / f"{seed}", seed, digest_of), seeds))
    built = same = 0
    for seed, states in zip(seeds, walks, strict=True):
        known = {}
        for key, digest, state in states:
            built += 1
            same += key in known
            before = known.setdefault(key, (digest, state))
            assert before[0] == digest, f"seed {seed}: one key, two images:\n{before[1]}\n{state}"
    assert built > CASES * STEPS / 3
    assert same, "no two states had the same key: the test shows nothing"
