"""The made extract is a plain module beside these tests; tests/models borrows it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
