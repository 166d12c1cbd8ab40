"""The Python environment that scripts/tools.sh makes for the providers: how a provider gets into it, whatever started it."""

import hashlib
import importlib.util
import os
import pathlib
import sys

REQUIREMENTS = pathlib.Path(__file__).resolve().parent.parent / "requirements.txt"


def use_prepared_environment(package):
    """Replaces this process by the same one under the prepared Python, if this one lacks the package."""
    if importlib.util.find_spec(package):
        return
    key = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    python = f"{cache}/tokenhost/venv/{key}/bin/python"
    if os.environ.get("PROVIDER_PYTHON") == python or not os.path.exists(python):
        sys.exit(f"{package} is not installed: run `make tools` (or scripts/tools.sh) first")
    os.environ["PROVIDER_PYTHON"] = python
    os.execv(python, [python, *sys.argv])
