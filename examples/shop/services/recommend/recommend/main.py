"""What gunicorn serves."""

from __future__ import annotations

import os

from recommend.app import create_app
from recommend.upstreams import Upstreams, new_pool

app = create_app(
    Upstreams(catalog=os.environ["CATALOG_URL"], orders=os.environ["ORDERS_URL"], pool=new_pool())
)
