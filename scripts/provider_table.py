"""Write the table of docs/reference/providers.md from what the providers do.

    uv run python scripts/provider_table.py

Each cell is measured by a check of tests/contract/provider_features.py against a server on loopback; the tests hold
the page to it.
"""

import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.contract.provider_features import FEATURES, measured  # noqa: E402
from tests.contract.provider_subjects import SUBJECTS  # noqa: E402
from tests.contract.test_provider_contract import PAGE, TABLE  # noqa: E402


async def table() -> str:
    lines = [["", *(subject.title for subject in SUBJECTS)], ["---"] * (len(SUBJECTS) + 1)]
    for id, (title, _) in FEATURES.items():
        lines.append([title, *[await measured(subject, id) for subject in SUBJECTS]])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    written = asyncio.run(table())
    PAGE.write_text(TABLE.sub(lambda _: written, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
