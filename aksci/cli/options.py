"""The options that there are, each declared once, for whichever sessions take it.

Which session takes which, the sessions say (``aksci.cli.sessions``). Reading, checks and usage
texts are derived from both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.cli.option import DeclaredOption
from aksci.core.errors import WORK_TO_DO

if TYPE_CHECKING:
    from aksci.cli.sessions import SessionSpec

__all__ = ["BUILD_STAGES", "OPTIONS", "options_of"]

BUILD_STAGES = ("build", "validate", "scan", "sign", "push")
"""The steps of ``build`` in order; each is also a session."""
_FORMATS = ("text", "json", "markdown", "dot", "mermaid", "html", "sarif", "junit")
"""What ``--format`` may say; each session takes some of them."""
_DOCUMENT = ("text", "json", "markdown")

_DECLARED = (
    DeclaredOption(name="env", metavar="NAME", default="local", help="environment of aksci.toml"),
    DeclaredOption(
        name="format",
        help="output format",
        default="text",
        choices=_FORMATS,
        narrowed={
            "plan": _DOCUMENT,
            "why": _DOCUMENT,
            "graph": ("text", "dot", "mermaid", "html", "json"),
            "cascade": (*_DOCUMENT, "html"),
            "scan": (*_DOCUMENT, "sarif", "junit", "html"),
            "verify": ("text", "markdown", "json"),
            "release": _DOCUMENT,
            "status": ("text", "json"),
        },
    ),
    DeclaredOption(name="plan", flag=True, help="show what would be done, and stop"),
    DeclaredOption(
        name="words",
        metavar="WORD",
        bare=True,
        help="names and references",
        meanings={
            "why": "the image",
            "export": "acr-tasks",
            "verify": "references of images, charts and releases (default: all that runs)",
            "release": "show, diff or list, and references",
            "migrate-trust": "repositories (default: the project's)",
        },
    ),
    DeclaredOption(
        name="force",
        metavar="IMAGE",
        many=True,
        help="build this image even if it is published; repeatable",
    ),
    DeclaredOption(
        name="only", metavar="IMAGE", many=True, help="this image and what it needs; repeatable"
    ),
    DeclaredOption(
        name="with_dependents",
        flag=True,
        help="with --only, also all that is built on those images",
    ),
    DeclaredOption(
        name="keep_going",
        flag=True,
        help="when images failed, still take the others through validate, scan and sign",
    ),
    DeclaredOption(
        name="output",
        metavar="PATH",
        help="write there, not to stdout",
        meanings={"export": "the folder to write (default: .aksci/acr-tasks)"},
    ),
    DeclaredOption(name="save", metavar="FILE", help="keep the plan, to compare it later"),
    DeclaredOption(
        name="compare", metavar="FILE", help="show what differs from a plan that was kept"
    ),
    DeclaredOption(
        name="matrix",
        metavar="SYSTEM",
        choices=("github", "azure"),
        help="write a CI matrix for later jobs, in this CI system's format",
    ),
    DeclaredOption(
        name="group",
        metavar="BY",
        default="image",
        choices=("image", "component"),
        help="with --matrix, one job per image, or one for images that need each other",
    ),
    DeclaredOption(
        name="exit_code",
        flag=True,
        help=f"end with status {WORK_TO_DO} if there is work to do",
        meanings={"cascade": f"with --plan, end with status {WORK_TO_DO} if there is work to do"},
    ),
    DeclaredOption(
        name="until",
        metavar="STEP",
        default=BUILD_STAGES[-1],
        choices=BUILD_STAGES,
        help="stop after this step, so that CI jobs can hold separate identities",
    ),
    DeclaredOption(
        name="release",
        metavar="REF",
        default="the last",
        help="registry/repository@sha256:… of the release",
    ),
    DeclaredOption(
        name="to", metavar="REF", default="the one before", help="release to go back to"
    ),
    DeclaredOption(name="purge", flag=True, help="delete images and cluster data too"),
    DeclaredOption(
        name="base",
        metavar="REF",
        many=True,
        several=True,
        help="only what follows from this image; repeatable, or several with spaces",
    ),
    DeclaredOption(name="batch", flag=True, help="include changes that wait for the next batch"),
    DeclaredOption(
        name="registry_wide",
        flag=True,
        help="also what other repositories of the registry have built on it",
    ),
)
OPTIONS = {each.name: each for each in _DECLARED}
"""By name, in the order in which usage texts show them."""


def options_of(session: SessionSpec) -> dict[str, DeclaredOption]:
    """Return what a session takes, by name, in the order of ``OPTIONS``, and then its own.

    Every session has an environment.
    """
    taken = {"env", *session.options}
    shared = {name: option for name, option in OPTIONS.items() if name in taken}
    return shared | {option.name: option for option in session.own}
