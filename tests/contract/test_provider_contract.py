"""Every provider does what the port says, over its own wire format; docs/reference/providers.md says how."""

import re

import pytest

from tests.contract.provider_features import FEATURES, measured
from tests.contract.provider_subjects import SUBJECTS, Subject
from tests.serving import ROOT

PAGE = ROOT / "docs" / "reference" / "providers.md"
TABLE = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- end measured -->)", re.S)


def cells() -> dict[tuple[str, str], str]:
    """The table of the page: a cell for each feature's title and subject's title."""
    found = TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert found
    head, _, *rows = ([cell.strip() for cell in line.strip()[1:-1].split("|")] for line in found[0].splitlines())
    return {
        (row[0], title): cell
        for row in rows
        for title, cell in zip(head[1:], row[1:], strict=True)
    }  # fmt: skip


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize(
    "subject",
    [pytest.param(one, id=one.id, marks=[pytest.mark.local_model] * (one.id == "embedded")) for one in SUBJECTS],
)
async def test_a_provider_does_what_the_page_says(subject: Subject, feature: str) -> None:
    assert await measured(subject, feature) == cells()[FEATURES[feature][0], subject.title]


def test_the_page_has_no_other_cells() -> None:
    titles = {(feature, subject.title) for feature, _ in FEATURES.values() for subject in SUBJECTS}
    assert cells().keys() == titles
