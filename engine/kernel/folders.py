"""Where files go on this platform, and what the user's `.env` says."""

from collections.abc import Mapping
from pathlib import Path

import platformdirs

from engine.kernel.errors import InvalidConfig

_NAME = "circuit-breaker"


def data_folder() -> Path:
    """The platform's folder for the database and the log."""
    return platformdirs.user_data_path(_NAME, appauthor=False)


def config_file() -> Path:
    return platformdirs.user_config_path(_NAME, appauthor=False) / "config.toml"


def with_dotenv(environ: Mapping[str, str], file: Path = Path(".env")) -> dict[str, str]:
    """`environ` and beneath it what `file` says, if there is such a file. Raises InvalidConfig when it cannot be
    read."""
    if not file.is_file():
        return dict(environ)
    from dotenv import dotenv_values  # most starts have no such file

    try:
        found = dotenv_values(file, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        why = "It is not UTF-8." if isinstance(error, UnicodeDecodeError) else f"{error.strerror}."
        raise InvalidConfig(
            f"{file.resolve()} cannot be read.", why=why, fix="Mend it, or move it away.", details={"file": str(file)}
        ) from None
    return {key: value for key, value in found.items() if value is not None} | dict(environ)
