"""A reporter that also writes each message to a file, as one JSON object per line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from aksci.parts import Reporter, ReporterContext, Task


@dataclass(frozen=True)
class JsonReporter:
    usual: Reporter
    file: Path

    def line(self, text: str) -> None:
        self._keep("line", text)
        self.usual.line(text)

    def warning(self, text: str) -> None:
        self._keep("warning", text)
        self.usual.warning(text)

    def error(self, text: str) -> None:
        self._keep("error", text)
        self.usual.error(text)

    def group(self, title: str) -> AbstractContextManager[None]:
        self._keep("group", title)
        return self.usual.group(title)

    def task(self, name: str) -> Task:
        self._keep("task", name)
        return self.usual.task(name)

    def mask(self, secret: str) -> None:
        self.usual.mask(secret)

    def output(self, name: str, value: str) -> None:
        self.usual.output(name, value)

    def summary(self, markdown: str) -> None:
        self.usual.summary(markdown)

    def _keep(self, kind: str, text: str) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({kind: text}) + "\n")


def make(given: ReporterContext) -> JsonReporter:
    return JsonReporter(given.usual, Path(given.variables["ACME_LOG"]))
