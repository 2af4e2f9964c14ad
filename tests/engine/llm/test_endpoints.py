"""`[endpoints.NAME]`: what is read, and what is said of what is wrong."""

import tomllib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.errors import InvalidConfig
from engine.llm.endpoints import KINDS, PRESETS, Given, deployments_in, read_endpoints

WHOLE = """
[lab]
kind = "vllm"
url = "http://127.0.0.1:8000/v1/"
headers = { "X-Title" = "mine" }
models = [
  "llama",
  { name = "q", base = "qwen3-32b", abilities = ["chat", "tools"], context = 8192, input = "0.1", output = 0.2 },
]

[claude]
kind = "anthropic"
url = "https://proxy.example/anthropic"
auth = "header:x-proxy-key"
key_env = "PROXY_KEY"

[azure-eu]
kind = "azure"
url = "https://eu.openai.azure.com"
deployments = { "my-chat" = "gpt-4o" }
api_version = "v1"

[cloud]
kind = "vertex"
project = "p-1"
region = "europe-west4"

[router]
kind = "openrouter"
[open]
kind = "openai"
url = "10.0.0.5:9000"
auth = "none"
"""


def test_a_whole_file():
    lab, claude, azure, vertex, router, open_ = read_endpoints(tomllib.loads(WHOLE))
    assert (lab.kind, lab.url, lab.keyless, dict(lab.headers)) == (
        "openai",
        "http://127.0.0.1:8000/v1",
        True,
        {"x-title": "mine"},
    )
    plain, told = lab.models
    assert plain == Given("llama")
    assert (told.base, told.abilities, told.context) == ("qwen3-32b", {"chat", "tools"}, 8192)
    assert told.price is not None
    assert (told.price.input, told.price.output) == (Decimal("0.1"), Decimal("0.2"))
    assert (claude.auth, claude.key_env, claude.keyless) == ("header:x-proxy-key", "PROXY_KEY", False)
    assert (azure.models, azure.api_version) == ((Given("my-chat", "gpt-4o"),), "v1")
    assert (vertex.project, vertex.region) == ("p-1", "europe-west4")
    assert (router.url, router.key_env, router.title) == (
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        "OpenRouter (router)",
    )
    assert (open_.url, open_.keyless) == ("10.0.0.5:9000", True)


@pytest.mark.parametrize(
    ("table", "path", "says"),
    [
        ({}, "kind", "It is missing"),
        ({"kind": "opnai"}, "kind", "Did you mean 'openai'?"),
        ({"kind": "openruter"}, "kind", "Did you mean 'openrouter'?"),
        ({"kind": 7}, "kind", "Give a text"),
        ({"kind": "openai"}, "url", "It is missing"),
        ({"kind": "openai", "url": "https://a:b@c/v1"}, "url", "no address"),
        ({"kind": "openai", "url": "https://a/v1?key=x"}, "url", "no address"),
        ({"kind": "groq", "ulr": "x"}, "ulr", "Did you mean 'url'?"),
        ({"kind": "groq", "deployments": {}}, "deployments", "Only the kind azure has it"),
        ({"kind": "groq", "auth": "barer"}, "auth", "Did you mean 'bearer'?"),
        ({"kind": "groq", "auth": "header:"}, "auth", "header:NAME"),
        ({"kind": "groq", "key_env": "sk-123 456"}, "key_env", "never the key itself"),
        ({"kind": "groq", "headers": {"Authorization": "Bearer x"}}, "headers.Authorization", "keys set mine"),
        ({"kind": "groq", "headers": {"host": "x"}}, "headers.host", "cannot be set"),
        ({"kind": "groq", "headers": {"x": "a\r\nb"}}, "headers.x", "no text of ASCII"),
        ({"kind": "groq", "local": "yes"}, "local", "true or false"),
        ({"kind": "groq", "models": [{"name": ""}]}, "models[0]", "no model"),
        ({"kind": "groq", "models": ["a", {"name": "b", "contxt": 1}]}, "models[1].contxt", "Did you mean 'context'?"),
        ({"kind": "groq", "models": [{"name": "b", "context": -1}]}, "models[0].context", "no number of tokens"),
        ({"kind": "groq", "models": [{"name": "b", "abilities": ["chats"]}]}, "models[0].abilities", "mean 'chat'?"),
        ({"kind": "groq", "models": [{"name": "b", "input": "1"}]}, "models[0].output", "both input and output"),
        ({"kind": "groq", "models": [{"name": "b", "input": "x", "output": "1"}]}, "models[0].input", "no price"),
        ({"kind": "azure", "url": "https://a", "deployments": {"a": 1}}, "deployments", "no names"),
        ({"kind": "vertex"}, "project", "It is missing"),
        ({"kind": "vertex", "project": "p", "auth": "bearer"}, "auth", "only its own"),
    ],
)
def test_what_is_wrong_is_said_with_the_table_and_the_field(table, path, says):
    with pytest.raises(InvalidConfig) as caught:
        read_endpoints({"mine": table})
    assert caught.value.details["path"] == f"endpoints.mine.{path}"
    assert f"endpoints.mine.{path}" in caught.value.what
    assert says in str(caught.value)
    assert "sk-123" not in str(caught.value)


@pytest.mark.parametrize("name", ["openai", "azure", "a/b", "a@b", ""])
def test_names_that_mean_something_else_are_refused(name):
    with pytest.raises(InvalidConfig, match="name that cannot be taken"):
        read_endpoints({name: {"kind": "groq"}})


def test_deployments_on_one_line():
    assert deployments_in(" a=gpt-4o, b ,, c = x ") == (Given("a", "gpt-4o"), Given("b", "b"), Given("c", "x"))


def test_presets_are_of_known_kinds_and_have_addresses():
    assert {one.kind for one in PRESETS.values()} <= set(KINDS)
    assert all(read_endpoints({"x": {"kind": name}})[0].url == preset.url for name, preset in PRESETS.items())


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("kind", "url", "headers", "auth", "key_env", "models", "local", "title", "deployments", "project", "region")


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING), st.sampled_from([*KINDS, "groq", None]))
def test_whatever_stands_there_is_read_or_refused_with_a_place(table, kind):
    assert _path_or_kind({"mine": table if kind is None else {**table, "kind": kind}})


def _path_or_kind(tables: dict) -> bool:
    try:
        [found] = read_endpoints(tables)
    except InvalidConfig as error:
        return str(error.details["path"]).startswith("endpoints.mine") and bool(error.fix)
    return found.kind in KINDS
