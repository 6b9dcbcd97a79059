"""Write the files that docs/library.md shows, in a repository where they work."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).parents[1]
PAGE = (_ROOT / "docs/library.md").read_text(encoding="utf-8")
README = (_ROOT / "README.md").read_text(encoding="utf-8")
FILES = {
    name: (language, text)
    for name, language, text in re.findall(
        r"^`([^`\n]+)`\n\n```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL
    )
}
"""Path -> language and content of the files that the page shows."""
PYTHON = {name: text for name, (language, text) in FILES.items() if language == "python"}
SCANNER = "acme-scanner"
"""The folder of the package with the scanner."""
(SCANNER_TABLES,) = re.findall(r"^```toml\n(# aksci.toml\n.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
"""The tables of aksci.toml that select it."""
(README_NOXFILE,) = re.findall(
    r"^```python\n# noxfile.py\n([^`]*^session\(.*?)^```", README, re.MULTILINE | re.DOTALL
)
"""The noxfile that the README shows for the page's first pipeline."""

_DOCKERFILE = """\
FROM debian:bookworm-slim
USER 10001
CMD ["sleep", "{seconds}"]
"""
_DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: gateway}
spec:
  selector: {matchLabels: {app: gateway}}
  template:
    metadata: {labels: {app: gateway}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: gateway
          image: "{{ .Values.image.repository }}@{{ .Values.image.digest }}"
          securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false}
          resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
"""
_NEEDED = {
    "gateway/Dockerfile": _DOCKERFILE.format(seconds="infinity"),
    "worker/Dockerfile": _DOCKERFILE.format(seconds="1h"),
    "charts/gateway/Chart.yaml": "apiVersion: v2\nname: gateway\nversion: 0.1.0\n",
    "charts/gateway/values.yaml": "image: {repository: '', digest: ''}\n",
    "charts/gateway/templates/gateway.yaml": _DEPLOYMENT,
    "pipelines/__init__.py": "",
}


def write(folder: Path) -> Path:
    """Write a team's repository: the files of the page, the images they name, and a chart."""
    files = _NEEDED | {name: text for name, (_, text) in FILES.items()}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
