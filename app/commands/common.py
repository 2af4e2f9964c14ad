"""What commands share: reading settings, and an engine to work with."""

import argparse
from pathlib import Path

from engine.kernel import folders
from engine.kernel.settings import Loaded, load
from engine.kernel.world import World


def settings_of(chosen: argparse.Namespace, world: World) -> Loaded:
    """The settings with the command line's flags. Raises InvalidConfig."""
    file: Path | None = chosen.config
    if file is None and world.environ.get("CIRCUIT_BREAKER_CONFIG"):
        file = Path(world.environ["CIRCUIT_BREAKER_CONFIG"])
    flags = {
        "data_dir": None if chosen.data_dir is None else str(chosen.data_dir),
        "store": chosen.store,
        "host": chosen.host,
        "openai_port": chosen.openai_port,
        "graphql_port": chosen.graphql_port,
        "plain": True if chosen.plain else None,
    }
    return load(file or folders.config_file(), world.environ, flags, must_exist=file is not None)


def real_world() -> World:
    """This machine, with what the `.env` here says."""
    real = World.real()
    return World.real(folders.with_dotenv(real.environ))
