"""The tree of errors: what edges rely on."""

import pytest

from engine.kernel import errors
from engine.kernel.errors import CircuitBreakerError, NotFound, ProviderError, ProviderTimeout, nearest, shown

ALL = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, CircuitBreakerError)]


@pytest.mark.parametrize("kind", ALL)
def test_each_error_has_a_code_and_says_what_why_and_how_to_fix(kind):
    error = kind("It broke.", why="It was old.", fix="Mend it.", details={"a": 1})
    assert str(error) == "It broke. It was old. Mend it."
    assert error.code == error.code.lower()
    assert error.details == {"a": 1}
    assert kind.__doc__


@pytest.mark.parametrize("kind", [one for one in ALL if one is not CircuitBreakerError])
def test_an_edge_that_walks_the_mro_ends_at_the_root(kind):
    codes = [one.code for one in kind.__mro__ if issubclass(one, CircuitBreakerError)]
    assert codes[0] == kind.code
    assert codes[-1] == "internal"


def test_errors_of_providers_are_found_under_their_parent():
    assert ProviderTimeout.__mro__[1] is ProviderError


def test_what_is_missing_is_left_out_of_the_sentence():
    assert str(CircuitBreakerError("It broke.")) == "It broke."


def test_details_are_a_copy():
    given = {"a": 1}
    error = CircuitBreakerError("x", details=given)
    error.details["b"] = 2
    assert given == {"a": 1}


def test_not_found_names_the_nearest():
    error = NotFound.named("workflow", "aproval_v1", ["approval_v1", "pipeline_v1", "approval_v2"])
    assert error.details["nearest"][0] == "approval_v1"
    assert "Did you mean 'approval_v1'" in error.why


def test_not_found_among_nothing_like_it_suggests_nothing():
    assert NotFound.named("workflow", "zzz", ["approval_v1"]).why == ""


def test_nearest_does_not_mind_case_and_gives_names_as_they_are():
    assert nearest("DRAFT", ["Draft", "review"]) == ["Draft"]


def test_long_and_invisible_names_are_shown_safely():
    assert shown("a\x1b[2J") == r"'a\x1b[2J'"
    assert len(shown("x" * 10_000)) < 100
    assert len(str(NotFound.named("token", "x" * 100_000, ["y"]))) < 300
