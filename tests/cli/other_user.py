"""Run a command as another user of the machine: `python -m tests.cli.other_user USER FOLDER ARGUMENT …`, as root.

That user may not read this environment's files, so all that a command needs is imported before the user changes.
"""

from __future__ import annotations

import importlib
import os
import pwd
import sys

import typer

from workbench.cli import main
from workbench.kernel.text import catalogue

for module in ("cli.remote.client", "store.files"):
    importlib.import_module(f"workbench.{module}")
for module in ("rich.console", "rich.panel", "typer.rich_utils"):
    importlib.import_module(module)
typer.main.get_command(main.app())
catalogue("en")
catalogue("fr")

user, folder, *arguments = sys.argv[1:]
other = pwd.getpwnam(user)
os.setgroups([])
os.setgid(other.pw_gid)
os.setuid(other.pw_uid)
os.chdir(folder)
sys.exit(main.run(arguments))
