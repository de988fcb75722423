"""`python -m workbench.ui HOME PORT`: the app's own process, so that the command line need not know of it."""

from __future__ import annotations

import sys
from pathlib import Path

from workbench.kernel.errors import UserError
from workbench.kernel.settings import language, load_settings
from workbench.ui.server import serve


def main(home: str, port: str) -> int:
    """Serve a home's app on a port of this machine until it is interrupted; 1 where the answer is no."""
    try:
        serve(load_settings(Path(home)), int(port))
    except UserError as error:
        sys.stderr.write(f"{error.text(language())}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
