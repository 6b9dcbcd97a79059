"""Images that the platform makes itself: one program FROM scratch, or a Debian base."""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError
from aksci.core.http import opener_for
from aksci.local.daemon import find_marked, marks, stop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter
    from aksci.local.layout import Layout
    from aksci.oci.client import RegistryClient

__all__ = ["push_program", "seed_image"]

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_DOCKER_HUB = "https://registry-1.docker.io/v2/"  # the address behind the name docker.io
# Without a network, each `up` with a missing seed waits for it.
_PROBE_TIMEOUT = 3.0  # seconds
_BASE_TIMEOUT = 1200.0  # seconds
# 2025-01-01. Newer time stamps become this one, so that the same packages are the same image.
_EPOCH = 1735689600
_UNWANTED = ("man", "info", "locale", "doc")  # below /usr/share, as Debian's own slim images do


@dataclass(frozen=True, kw_only=True)
class Seed:
    """One image of docker.io that the mirror must hold."""

    name: str
    """As in a FROM line: ``debian:bookworm-slim``."""
    repository: str
    tag: str
    packages: tuple[str, ...]

    @classmethod
    def parse(cls, name: str, packages: Sequence[str]) -> Seed:
        """Read a name as in a FROM line.

        :raises ConfigError: only Debian can be made here.
        """
        repository, colon, tag = name.removeprefix("docker.io/").partition(":")
        if not colon or repository.removeprefix("library/") != "debian":
            raise ConfigError(
                f"The seed {name!r} can't be made: only debian:<suite>[-slim] can.",
                hint='name a Debian base in [local.seeds], e.g. "debian:bookworm-slim" = [].',
            )
        repository = repository if "/" in repository else f"library/{repository}"
        return cls(name=name, repository=repository, tag=tag, packages=tuple(packages))

    @property
    def suite(self) -> str:
        """Debian's suite: the tag's first word."""
        return self.tag.partition("-")[0]


def push_program(client: RegistryClient, repository: str, binary: Path, path: str) -> str:
    """Store an image FROM scratch that runs one static program; return its name with its tag.

    The tag comes from the program's content, so that another program is another image.
    """
    from aksci.oci.artifact import push_image

    with binary.open("rb") as file:
        tag = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    # The tag is the content's, so that what is there need not be compared.
    if client.resolve(repository, tag) is None:
        with tempfile.TemporaryDirectory(prefix="aksci-image-") as folder:
            layer = Path(folder) / "layer.tar"
            _pack(binary, path, layer)
            config = _config({"Entrypoint": [path], "Env": [_PATH]})
            push_image(client, repository, tag, layers=[layer], config=config)
    return f"{client.host}/{repository}:{tag}"


def seed_image(
    seed: Seed,
    *,
    client: RegistryClient,
    layout: Layout,
    runner: Runner,
    reporter: Reporter,
) -> bool:
    """Make sure that builds can pull one image of docker.io; return whether it had to be pushed.

    Where the mirror lacks it and the public registry can't be reached, it is made by mmdebstrap and
    pushed. The tar is kept, so that it is made once.
    """
    from aksci.oci.artifact import push_image

    if client.resolve(seed.repository, seed.tag) is not None:
        return False
    tar = layout.seeds / f"{_key(seed)}.tar"
    if not tar.exists():
        # Builds then pull the real image: what the mirror lacks, they ask docker.io for.
        if public_registry_answers(runner.environment):
            return False
        reporter.line(f"docker.io can't be reached: making {seed.name} from Debian packages")
        _make_base(seed, tar, layout, runner, reporter)
    config = _config({"Cmd": ["bash"], "Env": [_PATH]})
    push_image(client, seed.repository, seed.tag, layers=[tar], config=config)
    return True


def public_registry_answers(environment: Mapping[str, str], url: str = _DOCKER_HUB) -> bool:
    """Tell whether docker.io answers within 3 seconds, through the user's proxy if there is one."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - a constant https address
    try:
        with opener_for(url, environment).open(request, timeout=_PROBE_TIMEOUT):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401  # noqa: PLR2004 - it asks for a token: it is there
    except OSError:
        return False


def _make_base(seed: Seed, tar: Path, layout: Layout, runner: Runner, reporter: Reporter) -> None:
    from aksci.tools.debian import ensure_packages

    ensure_packages(["mmdebstrap", "debian-archive-keyring"], runner, reporter)
    part = f"seed-{seed.tag}"
    stop(find_marked(layout.state, part), grace=5.0)  # of an `up` that was killed
    # Marked as ours: a killed run's mmdebstrap is found and ended by the next.
    environment = {"SOURCE_DATE_EPOCH": str(_EPOCH), **marks(layout.state, part)}
    # mmdebstrap takes the format from the ending, so the draft ends in .tar, too.
    draft = tar.with_suffix(".draft.tar")
    draft.unlink(missing_ok=True)
    argv = base_argv(seed, draft)
    runner.run(argv, env=environment, timeout=_BASE_TIMEOUT, quiet=True)
    draft.replace(tar)


def base_argv(seed: Seed, tar: Path) -> list[str]:
    """Return mmdebstrap's arguments for a base image.

    Nothing of this machine goes in, its certificates least of all.
    """
    return [
        "mmdebstrap",
        "--quiet",
        # As Debian's own images.
        "--variant=minbase",
        *([f"--include={','.join(seed.packages)}"] if seed.packages else []),
        *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _UNWANTED),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        # mmdebstrap copies this machine's name and resolver in, for its own use.
        '--customize-hook=rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
        seed.suite,
        str(tar),
    ]


def _key(seed: Seed) -> str:
    """Name the cached tar after everything that decides what is in it."""
    words = " ".join(base_argv(seed, Path("/")))
    return f"debian-{seed.suite}-{hashlib.sha256(words.encode()).hexdigest()[:12]}"


def _config(run: Mapping[str, Any]) -> dict[str, Any]:
    machine = platform.machine()
    return {
        "created": datetime.fromtimestamp(_EPOCH, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": dict(run),
    }


def _pack(binary: Path, path: str, layer: Path) -> None:
    entry = tarfile.TarInfo(path.lstrip("/"))
    content = binary.read_bytes()
    entry.size, entry.mode, entry.mtime = len(content), 0o755, _EPOCH
    with tarfile.open(layer, "w") as tar:
        tar.addfile(entry, io.BytesIO(content))
