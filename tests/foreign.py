"""Install the wheel for a Python, in a separate repository, as a user does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""The supported versions of Python."""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A virtual environment with the wheel and what ``requirements/run.lock`` locks."""

    version: str
    """Of Python, such as ``3.12``."""
    bin: Path

    @property
    def python(self) -> Path:
        return self.bin / "python"

    def run(self, *words, cwd, expect=0, variables=None):
        """Run a program of the environment in a folder; return its stdout, and stderr after it.

        Nothing of the tests' own environment is on its path.
        """
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        path = f"{self.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        done = subprocess.run(
            [self.bin / words[0], *words[1:]],
            cwd=cwd,
            env={**kept, "PATH": path, "PYTHONWARNINGS": "error", **(variables or {})},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """Makes such environments below a folder, each once: about 3 s where uv knows the wheels."""

    folder: Path
    _made: dict = field(default_factory=dict)

    def wheel(self) -> Path:
        """Build the wheel; where a release is tried, ``AKSCI_WHEEL`` names the one to publish."""
        if "wheel" not in self._made:
            given = os.environ.get("AKSCI_WHEEL")
            self._made["wheel"] = Path(given) if given else build(self.folder / "dist", "wheel")
        return self._made["wheel"]

    def install(self, version: str) -> Installed:
        """Return the environment for a Python, such as ``3.12``."""
        if version not in self._made:
            self._made[version] = self._install(version, f"venv-{version}")
        return self._made[version]

    def install_with(self, version: str, package: Path) -> Installed:
        """Return one that has pytest, and a package of the team's own, as well."""
        name = f"venv-{version}-{package.name}"
        if name not in self._made:
            made = self._install(version, name)
            lock = ROOT / "requirements/dev.lock"
            (pytest,) = re.findall(r"^pytest==\S+", lock.read_text(), re.MULTILINE)
            wanted = self.folder / "pytest.txt"
            wanted.write_text(pytest)  # the rest of the lock says what comes with it
            install = ("pip", "install", "--python", made.python)
            _uv(*install, "--require-hashes", "--constraint", lock, "--requirement", wanted)
            dist = self.folder / f"dist-{package.name}"
            wheel = next(dist.glob("*.whl"), None) or build(dist, "wheel", source=package)
            _uv(*install, "--no-deps", wheel)
            self._made[name] = made
        return self._made[name]

    def _install(self, version: str, name: str) -> Installed:
        python = find_python(version) or get_python(version)
        assert python, (
            f"There is no Python {version} on PATH, of pyenv or of uv, and uv could not get it.\n\n"
            f"hint: uv python install {version}"
        )
        venv = self.folder / name
        _uv("venv", "--python", python, venv)
        lock = ROOT / "requirements/run.lock"
        target = ("--python", venv / "bin/python")
        _uv("pip", "install", *target, "--require-hashes", "--requirement", lock)
        _uv("pip", "install", *target, "--no-deps", self.wheel())
        return Installed(version=version, bin=venv / "bin")


def pythons() -> tuple[str, ...]:
    """Return the Pythons to try: the tests' own, and of the others what is on this machine.

    ``AKSCI_PYTHONS`` names those that must be there, as the workflows do: a test fails without one.
    """
    if given := os.environ.get("AKSCI_PYTHONS"):
        return tuple(given.split())
    own = "{}.{}".format(*sys.version_info)
    return tuple(version for version in PYTHONS if version == own or find_python(version))


def build(folder: Path, kind: str, *, source: Path = ROOT, variables=None) -> Path:
    """Build the ``wheel`` or ``sdist`` with the locked hatchling, without a network."""
    argv = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", folder]
    environment = {**os.environ, **(variables or {})}
    subprocess.run(argv, cwd=source, env=environment, check=True, capture_output=True)
    (made,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


def find_python(version: str) -> Path | None:
    """Return a Python of a version: on PATH, pyenv's, or uv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [
        *(Path(folder) / f"python{version}" for folder in os.get_exec_path()),
        *sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True),
    ]
    # A shim of pyenv is on PATH and fails, unless its version is the current one.
    return next((path for path in candidates if path.is_file() and _is(path, version)), None)


def get_python(version: str) -> Path | None:
    """Let uv find or download a Python; without internet it can only find one."""
    subprocess.run([_UV, "python", "install", version], check=False, capture_output=True)
    found = subprocess.run(
        [_UV, "python", "find", version], check=False, capture_output=True, text=True
    )
    return Path(found.stdout.strip()) if found.returncode == 0 else None


def _is(python: Path, version: str) -> bool:
    code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    told = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True)
    return told.stdout.strip() == version


_UV = Path(sys.executable).with_name("uv")


def _uv(*words) -> None:
    done = subprocess.run([_UV, *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)
