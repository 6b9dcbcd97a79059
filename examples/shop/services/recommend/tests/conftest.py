"""Make the service importable, as it is in its image."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
