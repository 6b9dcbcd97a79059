"""aksci's own sessions, on examples/shop, and the checks of its code."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nox

import aksci
from aksci.nox import register, session

register(project="examples/shop")
session(
    "pipelines.shop_release:release",
    name="shop-release",
    options=("only",),
    summary="Build, check and deploy the shop, with a smoke test under load before the signature.",
)

WORKFLOWS = ("cascade", "ci", "deploy", "promote", "release")
PIPELINES = ("azure-pipelines.yml", "azure-pipelines-cascade.yml")


@nox.session(python=False)
def check(session: nox.Session) -> None:
    """Run every check: style, types, layers, pipeline files, unit and integration tests."""
    for step in ("style", "unit", "shop", "integration"):
        session.notify(step)


@nox.session(python=False)
def style(session: nox.Session) -> None:
    """Check format, lint, types, layers and the CI files."""
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("lint-imports")
    session.run("uv", "pip", "check", "--python", sys.executable)
    schema = ("check-jsonschema", "--builtin-schema")
    azure = ("--data-transform", "azure-pipelines", "--regex-variant", "nonunicode")
    session.run(*schema, "vendor.azure-pipelines", *azure, *PIPELINES)
    workflows = [f".github/workflows/{name}.yml" for name in WORKFLOWS]
    session.run(*schema, "vendor.github-workflows", *workflows)
    session.run("zizmor", "--offline", "--quiet", *workflows)


@nox.session(python=False)
def unit(session: nox.Session) -> None:
    """Run the tests that need no daemon."""
    session.run("pytest", "tests/unit", *session.posargs)


@nox.session(python=False)
def shop(session: nox.Session) -> None:
    """Run the unit tests of the shop's own services, in Go and in Python."""
    services = Path("examples/shop/services").resolve()
    for name in ("gateway", "orders"):
        with session.chdir(services / name):
            session.run("go", "vet", ".", external=True)
            session.run("go", "test", ".", external=True)
    for name in ("catalog", "recommend"):
        with session.chdir(services / name):
            locked = ("--no-project", "--with-requirements", "requirements.txt")
            session.run("uv", "run", *locked, "--with", "pytest==9.2.0", "pytest", "-q")


@nox.session(python=False)
def integration(session: nox.Session) -> None:
    """Run the tests on real parts: registry, BuildKit, Trivy, notation, Helm, Kubernetes."""
    session.run("pytest", "tests/integration", *session.posargs)


@nox.session(python=False)
def bench(session: nox.Session) -> None:
    """Measure us and our peers side by side: -- [--quick] [--only CASE]. See benchmarks/."""
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(python=False)
def schema(session: nox.Session) -> None:
    """Write the JSON Schema of aksci.toml anew."""
    code = (
        "import json; from aksci.config.loader import json_schema; "
        "print(json.dumps(json_schema(), indent=2))"
    )
    with Path("aksci/config/aksci.schema.json").open("w", encoding="utf-8") as file:
        session.run("python", "-c", code, stdout=file)


@nox.session(python=False)
def surface(session: nox.Session) -> None:
    """Regenerate the list of public names that docs/compatibility.md guarantees."""
    with Path("tests/unit/public_surface.txt").open("w", encoding="utf-8") as file:
        session.run("python", "tests/public_surface.py", stdout=file)


@nox.session(python=False)
def package(session: nox.Session) -> None:
    """Build wheel and source archive into dist/, the same bytes each time: -- [TAG].

    A tag must match this version, and the changelog must have its section.
    """
    version = aksci.__version__
    if session.posargs and session.posargs != [f"v{version}"]:
        session.error(f"{' '.join(session.posargs)} is not v{version}: see aksci/__init__.py")
    changelog = Path("CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^## \[?{re.escape(version)}\]? - \d", changelog, re.MULTILINE)
    if session.posargs and not section:
        session.error(f"CHANGELOG.md has no section '## {version} - DATE'")
    made = session.run("git", "log", "-1", "--format=%ct", external=True, silent=True)
    epoch = {"SOURCE_DATE_EPOCH": str(made).strip()}
    session.run("python", "-m", "hatchling", "build", "--directory", "dist", "--clean", env=epoch)


@nox.session(python=False)
def tryout(session: nox.Session) -> None:
    """Test the wheel in dist/ as a user installs it, on each Python of AKSCI_PYTHONS."""
    (wheel,) = Path("dist").resolve().glob("*.whl")
    session.run("pytest", "tests/integration/test_wheel", env={"AKSCI_WHEEL": str(wheel)})


@nox.session(python=False)
def upload(session: nox.Session) -> None:
    """Publish dist/ on the package index with the workflow's identity (trusted publishing)."""
    files = sorted(map(str, Path("dist").glob("aksci-*")))
    session.run("uv", "publish", "--trusted-publishing", "always", *files)


@nox.session(python=False)
def image(session: nox.Session) -> None:
    """Build, scan, sign and publish aksci's own container image with aksci: -- [--env NAME]."""
    session.run("python", "-m", "aksci", "-C", ".", "build", *session.posargs)


@nox.session(python=False)
def lock(session: nox.Session) -> None:
    """Resolve the dependencies anew and lock them with their hashes."""
    common = ("--universal", "--python-version", "3.11", "--generate-hashes", "--no-header")
    compile_ = ("uv", "pip", "compile", "pyproject.toml", "--no-annotate", "--quiet", *common)
    session.run(*compile_, "-o", "requirements/run.lock", *session.posargs)
    session.run(*compile_, "--group", "dev", "-o", "requirements/dev.lock", *session.posargs)
