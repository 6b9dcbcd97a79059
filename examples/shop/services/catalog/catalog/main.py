"""What gunicorn serves."""

from __future__ import annotations

from catalog.app import create_app
from catalog.database import connect

app = create_app(connect())
