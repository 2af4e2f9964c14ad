"""The data about models: what comes with the program is whole, names are found, and no price is guessed."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel import assets
from engine.kernel.errors import InvalidInput, ProviderError
from engine.llm import knowledge, library
from engine.llm.knowledge import Knowledge, spellings
from engine.llm.library import Library
from engine.llm.messages import Usage
from engine.llm.model import FREE, Model, Price, ProviderStatus
from engine.llm.prices import cost
from tests.servers.loopback import LoopbackServer

FILE = assets.folder() / "models" / "catalog.json"
TODAY = date(2026, 11, 26)
SHIPPED = knowledge.read(FILE.read_bytes())


@pytest.fixture(scope="module")
def known():
    return Knowledge(SHIPPED)


def catalog(models, provider="openai", **fields):
    return {
        "format": knowledge.FORMAT,
        "version": 1,
        "date": "2026-11-26",
        "sources": {"here": {"date": "2026-11-01"}},
        "providers": {provider: {"title": "X", "host": "api.x.test", "models": models}},
        **fields,
    }


def row(input="1", **fields):
    return {"prices": [{"input": input, "output": "2"}], "from": ["here"], **fields}


# -- what comes with the program --------------------------------------------------------------------------------------


def test_the_file_is_small_dated_and_every_row_says_where_it_is_from():
    assert FILE.stat().st_size < 600_000
    assert date.fromisoformat(SHIPPED["date"])
    assert {one["licence"] for one in SHIPPED["sources"].values()} == {"MIT"}
    for package, source in SHIPPED["sources"].items():
        assert date.fromisoformat(source["date"]) <= date.fromisoformat(SHIPPED["date"])
        assert (
            "MIT License" in (FILE.parent / f"LICENSE.{package}").read_text()
            or "The MIT" in (FILE.parent / f"LICENSE.{package}").read_text()
        )
    rows = [row for provider in SHIPPED["providers"].values() for row in provider["models"].values()]
    assert len(rows) > 1_000
    assert all(set(row.get("from", ())) <= SHIPPED["sources"].keys() for row in rows)
    assert all("from" in row for row in rows if "prices" in row)


def test_it_has_the_providers_that_are_served():
    assert SHIPPED["providers"].keys() >= {"openai", "anthropic", "google", "vertex", "azure", "mistral", "groq"}
    assert SHIPPED["providers"].keys() >= {"deepseek", "openrouter", "together", "xai", "cohere"}


@pytest.mark.parametrize(
    ("provider", "name", "usage", "dollars"),
    [
        ("openai", "gpt-4o-2024-08-06", Usage(2_000, 8_000, 0, 500), "0.02"),
        ("anthropic", "claude-sonnet-4-5-20250929", Usage(100, 50_000, 2_000, 1_000), "0.0378"),
        ("anthropic", "claude-sonnet-4-5", Usage(150_000, 60_000, 0, 1_000), "0.9585"),
        ("google", "models/gemini-2.5-pro", Usage(250_000, 0, 0, 1_000), "0.64"),
        ("openai", "text-embedding-3-small", Usage(1_000_000), "0.02"),
    ],
)
def test_bills_by_hand_with_the_shipped_prices(known, provider, name, usage, dollars):
    assert cost(usage, known.find(provider, name, TODAY).price) == Decimal(dollars)


def test_the_priors_of_the_router_are_marked():
    quality = json.loads((FILE.parent / "quality.json").read_bytes())
    assert quality["livebench_2024"]["factor"] == 0.6
    assert "our assumption" in quality["livebench_2024"]["assumed"]
    assert len(quality["livebench"]["models"]) == 24
    assert {one["release"] for one in quality["livebench"]["models"]} == {"2026-06-25", "2026-01-08"}
    assert quality["by_size"]["livebench_2024_mean"] == {"a": 10.3, "b": 6.7, "rmse": 3.3, "rows": 10}
    for table in ("livebench", "livebench_2024"):
        assert all(0 <= value <= 100 for one in quality[table]["models"] for value in one["percent"].values())


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("m", "m"),
        ("M", "m"),
        ("m-2026-01-31", "m"),
        ("m-20260131", "m"),
        ("m@20260131", "m"),
        ("m:latest", "m"),
        ("m-latest", "m"),
        ("m-preview", "m"),
        ("m-preview-05-20", "m"),
        ("m-latest-2026-01-31", "m"),
        ("models/m", "m"),
        ("openai/m", "m"),
        ("other", "m"),
        ("other-20260131", "m"),
        ("early", "early-preview"),
    ],
)
def test_a_name_is_found(name, found):
    rows = Knowledge(catalog({"m": row(aliases=["other"]), "early-preview": row()}))
    assert rows.find("openai", name, TODAY).name == found


@pytest.mark.parametrize("name", ["m2", "m-mini", "m:free", "mm", "m-4", "", "n"])
def test_a_near_name_is_another_model(name):
    assert Knowledge(catalog({"m": row()})).find("openai", name, TODAY) is None


def test_an_exact_name_comes_before_a_shorter_one():
    rows = Knowledge(catalog({"m": row("1"), "m-2026-01-31": row("9")}))
    assert rows.find("openai", "m-2026-01-31", TODAY).price.input == 9
    assert rows.find("openai", "m-2025-01-31", TODAY).price.input == 1


@given(st.text(max_size=40))
def test_spellings_end_and_begin_with_the_name(name):
    found = list(spellings(name))
    assert len(found) < 30
    if name.strip() and not name.casefold().strip().startswith("models/"):
        assert found[0] == name.casefold().strip()


def test_every_shipped_model_is_found_by_its_own_name_and_aliases(known):
    for provider, one in SHIPPED["providers"].items():
        for name, fields in one["models"].items():
            for spelling in (name, *fields.get("aliases", ())):
                assert known.find(provider, spelling, TODAY).name.casefold() == name.casefold(), (provider, spelling)


def test_the_model_behind_a_deployment_is_looked_up(known):
    model = Model("azure", "my-team", details={"base_model": "gpt-4o"})
    assert known.enriched(model, TODAY).price.input == Decimal("2.5")
    assert known.enriched(Model("azure", "my-team"), TODAY).price is None
    mine = Knowledge(SHIPPED, {"providers": {"azure": {"models": {"my-team": {"base": "gpt-4o"}}}}})
    assert mine.enriched(Model("azure", "my-team"), TODAY).price.input == Decimal("2.5")


def test_a_custom_endpoint_is_known_by_its_host():
    rows = Knowledge(catalog({"m": row(context=7)}, "groq"))
    assert rows.enriched(Model("custom", "m"), TODAY, "api.x.test").price.input == 1
    assert rows.enriched(Model("custom", "m"), TODAY, "api.y.test").price is None


def test_elsewhere_abilities_are_taken_over_and_prices_are_not():
    rows = Knowledge(catalog({"m": row(context=7, abilities=["chat", "tools"])}))
    found = rows.enriched(Model("custom", "openai/m"), TODAY, "gateway.test")
    assert (found.context, found.abilities, found.price) == (7, {"chat", "tools"}, None)


# -- enriching --------------------------------------------------------------------------------------------------------


def test_what_the_provider_says_stays():
    rows = Knowledge(catalog({"m": row(context=7, output=3, released="2026-01-01")}))
    price = Price(Decimal(5), Decimal(5))
    found = rows.enriched(Model("openai", "m", context=99, price=price), TODAY)
    assert (found.context, found.price, found.most_output, found.released) == (99, price, 3, "2026-01-01")


def test_an_endpoint_has_the_prices_of_whose_it_is_and_what_was_given_stays(known):
    bare = Model("azure-eu", "my-chat", details={"base_model": "gpt-4o", "catalog": "azure"})
    found = known.enriched(bare, TODAY)
    assert found.price == known.find("azure", "gpt-4o", TODAY).price
    assert "vision" in found.abilities
    given_ = Model("azure-eu", "my-chat", details={**bare.details, "abilities": "given"})
    assert known.enriched(given_, TODAY).abilities == {"chat"}


def test_a_local_model_is_left_as_it_is():
    rows = Knowledge(catalog({"m": row()}, "ollama"))
    model = Model("ollama", "m", price=FREE, local=True)
    assert rows.enriched(model, TODAY) is model


def test_a_price_says_its_day_and_its_source_and_begins_when_it_holds():
    dated = {"prices": [{"input": "1", "output": "1"}, {"input": "2", "output": "1", "since": "2026-12-01"}]}
    rows = Knowledge(catalog({"m": dated | {"from": ["here"]}}))
    before, after = (rows.find("openai", "m", day).price for day in (date(2026, 11, 30), date(2026, 12, 1)))
    assert (before.input, before.as_of, before.source) == (1, "2026-11-01", "here")
    assert (after.input, after.as_of) == (2, "2026-12-01")


def test_ones_own_rows_are_on_top():
    mine = {"providers": {"openai": {"models": {"m": {"prices": [{"input": "9", "output": "9"}]}}}}}
    found = Knowledge(catalog({"m": row(context=7)}), mine).find("openai", "m", TODAY)
    assert (found.price.input, found.context) == (9, 7)
    own = {"providers": {"custom": {"models": {"here": {"context": 5, "prices": [{"input": "1", "output": "1"}]}}}}}
    found = Knowledge(catalog({}), own).find("custom", "here", TODAY)
    assert (found.context, found.price.source) == (5, "your own file")


# -- files ------------------------------------------------------------------------------------------------------------


BAD = {
    "no json": b"{",
    "no catalog": b"[]",
    "another format": orjson.dumps(catalog({"m": row()}) | {"format": "x"}),
    "a newer version": orjson.dumps(catalog({"m": row()}) | {"version": 2}),
    "no day": orjson.dumps(catalog({"m": row()}) | {"date": "soon"}),
    "empty": orjson.dumps(catalog({})),
    "a float as price": orjson.dumps(catalog({"m": {"prices": [{"input": 1.5, "output": "1"}]}})),
    "a negative price": orjson.dumps(catalog({"m": {"prices": [{"input": "-1", "output": "1"}]}})),
    "a price that is none": orjson.dumps(catalog({"m": {"prices": [{"input": "NaN", "output": "1"}]}})),
    "half a price": orjson.dumps(catalog({"m": {"prices": [{"input": "1"}]}})),
    "tiers out of order": orjson.dumps(
        catalog({"m": {"prices": [{"input": "1", "output": "1", "over": [{"tokens": 5}, {"tokens": 5}]}]}})
    ),
    "an unknown ability": orjson.dumps(catalog({"m": {"abilities": ["flying"]}})),
    "a context that is none": orjson.dumps(catalog({"m": {"context": -1}})),
    "dates out of order": orjson.dumps(
        catalog({"m": {"prices": [{"input": "1", "output": "1", "since": "2026-01-02"},
                                  {"input": "1", "output": "1", "since": "2026-01-01"}]}})
    ),
}  # fmt: skip


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
async def test_what_is_no_catalog_is_refused_and_changes_nothing(data, tmp_path, clock):
    (tmp_path / "in.json").write_bytes(data)
    with pytest.raises(InvalidInput):
        await library.update(tmp_path / "models", str(tmp_path / "in.json"))
    assert not (tmp_path / "models").exists()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models"


def status(*models):
    return ProviderStatus("openai", "OpenAI", "up", "https://api.openai.com/v1", models=models)


def test_nothing_is_read_while_there_are_only_local_models(folder, monkeypatch):
    read = []
    monkeypatch.setattr(Path, "read_bytes", lambda self: read.append(self) or FILE.open("rb").read())
    books = Library(folder, lambda: TODAY)
    near = status(Model("ollama", "m", local=True))
    assert books.enriched(near) is near
    assert read == []
    books.enriched(status(Model("openai", "gpt-4o")))
    assert read  # the control: it would have been seen


async def test_an_update_takes_the_place_of_the_data_at_the_next_look(folder, tmp_path, clock):
    books = Library(folder, lambda: TODAY)
    assert books.enriched(status(Model("openai", "gpt-4o"))).models[0].price.input == Decimal("2.5")
    (tmp_path / "in.json").write_bytes(orjson.dumps(catalog({"gpt-4o": row("77")})))
    found = await library.update(folder, str(tmp_path / "in.json"))
    assert (found.models, found.priced, found.date) == (1, 1, "2026-11-26")
    assert books.enriched(status(Model("openai", "gpt-4o"))).models[0].price.input == 77
    assert books.summary.models == 1


@pytest.mark.parametrize("name", ["catalog.json", "mine.json"])
def test_a_file_that_cannot_be_read_is_said_and_left_out(folder, name):
    folder.mkdir()
    (folder / name).write_bytes(b"{")
    books = Library(folder, lambda: TODAY)
    assert books.enriched(status(Model("openai", "gpt-4o"))).models[0].price.input == Decimal("2.5")
    assert [name in one for one in books.problems] == [True]


class Files(LoopbackServer):
    """A server that has these files."""

    def __init__(self, files):
        super().__init__()
        self.files = files

    async def answer(self, request, answer):
        if request.path == "/moved.json":
            await answer.whole(b"", 302, headers={"location": "/good.json"})
            return
        found = self.files.get(request.path)
        await answer.whole(b"gone" if found is None else found, 404 if found is None else 200)


@pytest.fixture
def upstream():
    with Files({"/good.json": orjson.dumps(catalog({"m": row()})), "/bad.json": BAD["half a price"]}) as running:
        yield running


async def test_an_address_is_asked_and_what_it_says_is_checked(folder, clock, upstream):
    assert (await library.update(folder, f"{upstream.url}/good.json")).models == 1
    before = (folder / "catalog.json").read_bytes()
    for path, error in (("/bad.json", InvalidInput), ("/gone.json", ProviderError)):
        with pytest.raises(error):
            await library.update(folder, f"{upstream.url}{path}")
    assert (folder / "catalog.json").read_bytes() == before


async def test_an_address_that_sends_on_is_followed_and_what_is_too_large_is_not_read(upstream, monkeypatch, folder):
    assert (await library.update(folder, f"{upstream.url}/moved.json")).models == 1
    monkeypatch.setattr(library.knowledge, "MOST_BYTES", 10)
    with pytest.raises(ProviderError, match="larger than 10 bytes"):
        await library.update(folder, f"{upstream.url}/good.json")


async def test_an_address_where_nobody_is_says_so(folder):
    with pytest.raises(ProviderError, match="does not answer"):
        await library.update(folder, "http://127.0.0.1:9/data.json")
