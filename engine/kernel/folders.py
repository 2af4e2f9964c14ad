"""Where files go on this platform, and what the user's `.env` says."""

from collections.abc import Mapping
from pathlib import Path

import platformdirs
from dotenv import dotenv_values

_NAME = "circuit-breaker"


def data_folder() -> Path:
    """The platform's folder for the database and the log."""
    return platformdirs.user_data_path(_NAME, appauthor=False)


def config_file() -> Path:
    return platformdirs.user_config_path(_NAME, appauthor=False) / "config.toml"


def with_dotenv(environ: Mapping[str, str], file: Path = Path(".env")) -> dict[str, str]:
    """`environ` and beneath it what `file` says, if there is such a file."""
    found = dotenv_values(file, interpolate=False) if file.is_file() else {}
    return {key: value for key, value in found.items() if value is not None} | dict(environ)
