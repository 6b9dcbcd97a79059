"""Build a program from pinned Go modules, verified by Go's public checksum database."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DiskFullError, DownloadError, ProcessError, ToolError
from aksci.tools.pins import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from aksci.core.process import Runner
    from aksci.tools.pins import Edit, GoSource

__all__ = ["Go", "build_argv", "go_environment", "go_mod", "mend"]

# What could switch the checksum database off, or change what is compiled, is not the user's here.
_DROPPED = (
    "GONOSUMDB",
    "GONOSUMCHECK",
    "GOSUMDB",
    "GOPRIVATE",
    "GONOPROXY",
    "GOINSECURE",
    "GOFLAGS",
    "GOENV",
    "GOWORK",
    "GO111MODULE",
    "GOEXPERIMENT",
    "GOFIPS140",
    "GOOS",
    "GOARCH",
    "GOMOD",
    "CGO_ENABLED",
)
# What a user may have set with `go env -w`, which GOENV=off hides from the builds.
_KEPT = ("GOPROXY", "GOCACHE", "GOMODCACHE", "GOPATH", "GOTOOLCHAIN")
_OLDEST = "1.24"
# The compiler spends a fifth of its time on collecting garbage (docs/toolbox.md has figures).
_PATIENT = {"GOGC": "400", "GOMEMLIMIT": "3GiB"}
_HINT = (
    "install Go {version} or newer (https://go.dev/dl) and put it on PATH, "
    "or put the tool itself there"
)
_FETCH_HINT = "check the network and GOPROXY, then run again; what has arrived is kept"


@dataclass(frozen=True, kw_only=True)
class Go:
    """The Go command of this machine."""

    runner: Runner
    environment: Mapping[str, str] = field(repr=False)
    version: str
    """As 1.26.8."""
    may_switch: bool
    """Go may fetch a newer toolchain by itself."""
    platform: str
    """As linux/amd64."""

    @classmethod
    def find(cls, runner: Runner, variables: Mapping[str, str], fallback: Path) -> Go:
        """Ask the ``go`` on PATH about itself.

        :param fallback: a folder for Go's caches where the user has no home.
        :raises ToolError: there is none.
        """
        if shutil.which("go", path=variables.get("PATH", "")) is None:
            raise ToolError(
                "Go is needed to build this tool from its pinned module, and is not on PATH.",
                hint=_HINT.format(version=_OLDEST),
            )
        # GOENV is dropped here as well, but `go env -w` is read: the user's GOPROXY counts.
        asked = {**_without_dropped(variables), **_home(variables, fallback)}
        names = [*_KEPT, "GOVERSION", "GOHOSTOS", "GOHOSTARCH"]
        answer = runner.run(["go", "env", "-json", *names], env=asked, only_env=True, quiet=True)
        values = json.loads(answer.stdout)
        return cls(
            runner=runner,
            environment=go_environment(asked, {name: values[name] for name in _KEPT}),
            # As "go1.26.8", "go1.27-devel_…" or "go1.26.8 X:experiment".
            version=values["GOVERSION"].removeprefix("go").split()[0].split("-")[0],
            may_switch=values["GOTOOLCHAIN"] != "local",
            platform=f"{values['GOHOSTOS']}/{values['GOHOSTARCH']}",
        )

    def module(self, path: str, version: str, folder: Path) -> Mapping[str, str]:
        """Fetch one module, verified; return what ``go mod download -json`` says (``Dir``…).

        :param folder: an existing folder to run in, without a go.mod.
        :raises DownloadError: it could not be fetched or verified.
        """
        # Its status is not looked at: the JSON has the reason.
        answer = self._run(
            ["go", "mod", "download", "-json", f"{path}@{version}"], folder, check=False
        )
        said: dict[str, str] = json.loads(answer or "{}")
        # Go passes the system's text on, and no number.
        if os.strerror(errno.ENOSPC).lower() in said.get("Error", "").lower():
            raise DiskFullError(
                f"No space is left for the Go module {path} {version}: {said['Error']}",
                hint="df -h shows the file systems; go clean -modcache empties Go's part",
            )
        if "Error" in said or "GoMod" not in said:
            raise DownloadError(
                f"The Go module {path} {version} could not be fetched or verified: "
                f"{said.get('Error', 'go gave no answer')}",
                hint=_FETCH_HINT,
            )
        return said

    def prepare(self, source: GoSource, folder: Path, on_line: Callable[[str], None]) -> int:
        """Write the go.mod, fetch every module needed, and return the number of packages.

        :raises DownloadError: a module could not be fetched or verified.
        :raises ToolError: this Go is too old, and may not fetch a newer one.
        """
        described = [
            self._describe(self.module(path, version, folder)["GoMod"], folder)
            for path, version in source.modules.items()
        ]
        lines = [go_mod(source, described), *self._mend(source, folder)]
        (folder / "go.mod").write_text("".join(lines), encoding="utf-8")
        # Go would refuse the go.mod as well, which would look like a failed download below.
        self._require_version(max((m["Go"] for m in described), key=_numbers, default=_OLDEST))
        if source.source:
            for path in (SOURCES / source.source).iterdir():
                shutil.copyfile(path, folder / path.name)
        try:
            # It fetches what the packages need, and of the other modules that go.mod names nothing.
            packages = self._run(
                ["go", "list", "-deps", source.package], folder, source, on_line=on_line
            )
        except ProcessError as error:
            raise DownloadError(
                f"The Go modules of {source.package} could not be fetched or verified: "
                f"{error.message}",
                hint=_FETCH_HINT,
            ) from None
        return len(packages.splitlines())

    def build(
        self, source: GoSource, folder: Path, output: Path, on_line: Callable[[str], None]
    ) -> None:
        """Compile what ``prepare`` has put into ``folder``.

        :raises ToolError: it does not compile.
        """
        # Inside the folder, so that a killed build leaves nothing elsewhere.
        temporary = folder / "tmp"
        temporary.mkdir(exist_ok=True)
        try:
            self._run(
                build_argv(source, output),
                folder,
                source,
                on_line=on_line,
                extra={"GOTMPDIR": str(temporary)},
            )
        except ProcessError as error:
            raise ToolError(f"{source.package} could not be built: {error.message}") from None

    def _mend(self, source: GoSource, folder: Path) -> list[str]:
        """Copy each module that is edited into ``folder``, edit it, and return its replacement.

        The module cache stays as it was verified (and Go refuses overlays of files in it).
        """
        lines = []
        for number, (path, version) in enumerate(source.modules.items()):
            edits = [edit for edit in source.edits if edit.file.startswith(f"{path}/")]
            if not edits:
                continue
            copy = folder / f"mended-{number}"
            shutil.copytree(
                self.module(path, version, folder)["Dir"], copy, copy_function=shutil.copyfile
            )
            for place in (copy, *(each for each in copy.rglob("*") if each.is_dir())):
                place.chmod(0o700)  # the cache's folders may not be written to
            for edit in edits:
                file = copy / edit.file.removeprefix(f"{path}/")
                file.write_text(mend(file.read_text(encoding="utf-8"), edit), encoding="utf-8")
            lines.append(f"replace {path} => ./{copy.name}\n")
        return lines

    def _describe(self, file: str, folder: Path) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._run(["go", "mod", "edit", "-json", file], folder))
        return {"Go": _OLDEST, **said}

    def _require_version(self, required: str) -> None:
        if not self.may_switch and _numbers(self.version) < _numbers(required):
            raise ToolError(
                f"Go {required} is needed; Go {self.version} is installed, and GOTOOLCHAIN=local "
                "forbids it to fetch a newer one.",
                hint=_HINT.format(version=required),
            )

    def _run(
        self,
        argv: Sequence[str | Path],
        folder: Path,
        source: GoSource | None = None,
        *,
        on_line: Callable[[str], None] | None = None,
        extra: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> str:
        own = source.environment if source else {}
        environment = {**self.environment, **own, **(extra or {})}
        result = self.runner.run(
            argv,
            cwd=folder,
            env=environment,
            only_env=True,
            check=check,
            on_line=on_line,
            quiet=True,
        )
        return result.stdout


def go_environment(variables: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return a build's whole environment: the checksum database is on, the flags are ours.

    :param settings: what ``go env`` says about where modules come from and caches are.
    """
    return {
        **_PATIENT,
        # After ours: GOGC and GOMEMLIMIT stay the user's, where they are set.
        **_without_dropped(variables),
        **{name: value for name, value in settings.items() if value},
        "GOENV": "off",
        "GOWORK": "off",
        "GO111MODULE": "on",
        # mod: go.sum is written here, checked by the database. trimpath: no path of this machine
        # gets into a program. buildvcs: the folder may be in a repository that has nothing to do
        # with it.
        "GOFLAGS": "-mod=mod -trimpath -buildvcs=false",
        # Static programs: some go into images FROM scratch (aksci.local.seed_images).
        "CGO_ENABLED": "0",
    }


def go_mod(source: GoSource, described: Sequence[Mapping[str, Any]]) -> str:
    """Write the go.mod that requires exactly the pinned modules.

    Replacements and exclusions count only in the main module (The Go Modules Reference), so those
    that a module was released with are copied.

    :param described: what ``go mod edit -json`` says about each module's own go.mod.
    """
    version = max(
        (module.get("Go", _OLDEST) for module in described), key=_numbers, default=_OLDEST
    )
    lines = ["module aksci.local/tool", f"go {version}"]
    for module in described:
        lines += [f"godebug {d['Key']}={d['Value']}" for d in module.get("GoDebug") or ()]
    lines += [f"require {path} {version}" for path, version in source.modules.items()]
    for module in described:
        lines += [_replace(directive, source.staging) for directive in module.get("Replace") or ()]
        lines += [f"exclude {d['Path']} {d['Version']}" for d in module.get("Exclude") or ()]
    return "\n".join(dict.fromkeys(lines)) + "\n"


def mend(text: str, edit: Edit) -> str:
    """Apply an edit.

    :raises ToolError: what it is to find is not there exactly once.
    """
    # Another version of the module may have the text elsewhere, or twice: better no program than a
    # wrong one.
    found = text.count(edit.find)
    if found != 1:
        raise ToolError(
            f"{edit.file} can't be mended for the build: {edit.find!r} is there {found} times, "
            "not once.",
            hint="check the edits of its pin in aksci/tools/pins.toml",
        )
    return text.replace(edit.find, edit.replace)


def build_argv(source: GoSource, output: Path) -> list[str]:
    """Return the command that compiles and links, without symbols, and sets version variables.

    The linker would strip DWARF (``-w``); not to make it at all saves a fifth of the time.
    """
    linker = ["-s", "-w", *(f"-X={name}={value}" for name, value in source.set.items())]
    flags = ["-gcflags=all=-dwarf=false", f"-ldflags={' '.join(linker)}"]
    return ["go", "build", "-v", *flags, "-o", str(output), source.package]


def _replace(directive: Mapping[str, Any], staging: str | None) -> str:
    old, new = directive["Old"], directive["New"]
    left = " ".join(part for part in (old["Path"], old.get("Version")) if part)
    if new.get("Version"):
        return f"replace {left} => {new['Path']} {new['Version']}"
    if staging is None:
        raise ToolError(
            f"{old['Path']} is replaced by the folder {new['Path']}: its pin needs `staging`."
        )
    return f"replace {left} => {old['Path']} {staging}"


def _without_dropped(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in _DROPPED}


def _home(variables: Mapping[str, str], fallback: Path) -> dict[str, str]:
    if variables.get("HOME"):
        return {}
    places = {"GOCACHE": str(fallback / "build"), "GOPATH": str(fallback / "path")}
    return {name: place for name, place in places.items() if not variables.get(name)}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
