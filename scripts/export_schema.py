"""Write the GraphQL schema to docs/reference/schema.graphql; with `--check`, only say whether it is there as it is."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "reference" / "schema.graphql"
sys.path.insert(0, str(ROOT))

from server.graphql.schema import schema  # noqa: E402


def text() -> str:
    """The schema in GraphQL's own language."""
    return "# Written by scripts/export_schema.py. It only grows.\n\n" + schema.as_str().strip() + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(FILE.read_text() != text() and f"{FILE} is not what the schema is: run scripts/export_schema.py.")
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text())
