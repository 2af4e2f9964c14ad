#!/usr/bin/env bash
# Sets up a clone: looks for Python and uv, installs what is needed, copies .env.example, runs the tests.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '%s\n' "$*"; }
stop() {
  printf 'error: %s\nfix:   %s\n' "$1" "$2" >&2
  exit 1
}

python=""
for name in python3 python3.13 python3.12 python3.11 python; do
  if command -v "$name" >/dev/null 2>&1 \
    && "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
    python="$name"
    break
  fi
done
if [ -n "$python" ]; then
  say "Python   $("$python" -c 'import platform; print(platform.python_version())')"
fi

if ! command -v uv >/dev/null 2>&1; then
  [ -n "$python" ] || stop "Neither uv nor Python 3.11 to 3.13 is here." "Install one of them."
  "$python" -m pip install --quiet uv || stop "uv could not be installed." "Try \`pipx install uv\`, or see docs.astral.sh/uv; then run this again."
  PATH="$("$python" -c 'import sysconfig; print(sysconfig.get_path("scripts"))'):$PATH"
  command -v uv >/dev/null 2>&1 || stop "uv was installed, and is not on the PATH." "Open a new terminal, then run this again."
fi
say "uv       $(uv --version | cut -d' ' -f2)"

uv sync --quiet
say "installed in .venv"

if [ -e .env ]; then
  say ".env     is there; left as it is"
else
  cp .env.example .env
  chmod 600 .env
  say ".env     copied from .env.example; keys and addresses can go there"
fi

uv run pytest -n 2
say
say "Ready. Open the workbench: uv run circuit-breaker"
