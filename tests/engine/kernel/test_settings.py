"""Settings: where values come from, what is refused, and how the file is written."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel import folders
from engine.kernel.errors import InvalidConfig, InvalidInput
from engine.kernel.settings import load, save, specs


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


# -- sources ----------------------------------------------------------------------------------------------------------


def test_without_anything_there_are_defaults(file):
    loaded = load(file, {}, {})
    assert loaded.settings.openai_port == 3000
    assert set(loaded.origins.values()) == {("default", "")}


@pytest.mark.parametrize(
    ("in_file", "environ", "flags", "value", "origin"),
    [
        ("", {}, {}, 3000, "default"),
        ("[server]\nopenai_port = 1", {}, {}, 1, "file"),
        ("[server]\nopenai_port = 1", {"CIRCUIT_BREAKER_OPENAI_PORT": "2"}, {}, 2, "environment"),
        ("[server]\nopenai_port = 1", {"CIRCUIT_BREAKER_OPENAI_PORT": "2"}, {"openai_port": "3"}, 3, "flag"),
        ("[server]\nopenai_port = 1", {"CIRCUIT_BREAKER_OPENAI_PORT": ""}, {"openai_port": None}, 1, "file"),
    ],
)
def test_the_stronger_source_wins_and_is_named(file, in_file, environ, flags, value, origin):
    file.write_text(in_file)
    loaded = load(file, environ, flags)
    assert loaded.settings.openai_port == value
    assert loaded.origins["openai_port"][0] == origin


def test_each_setting_has_a_key_of_its_own_and_its_default_is_one_that_it_accepts():
    keys = [spec.key for _, spec, _ in specs()]
    assert len(set(keys)) == len(keys)
    for _, spec, default in specs():
        if default is not None:
            assert spec.parse(default) == default


@pytest.mark.parametrize(("text", "port"), [("0", 0), ("off", None), ("65535", 65535)])
def test_a_port_may_be_any_free_one_or_none(file, text, port):
    assert load(file, {}, {"graphql_port": text}).settings.graphql_port == port


@pytest.mark.parametrize("text", ["65536", "-1", "http", "1" * 5000, "3.5", True, 2.0])
def test_what_is_no_port_is_refused_with_the_option_that_said_it(file, text):
    with pytest.raises(InvalidConfig, match=r"--graphql-port is .* Give a port from 0 to 65535") as caught:
        load(file, {}, {"graphql_port": text})
    assert caught.value.details["path"] == "server.graphql_port"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CIRCUIT_BREAKER_PLAIN", "perhaps"),
        ("CIRCUIT_BREAKER_LOG_LEVEL", "loud"),
        ("OLLAMA_BASE_URL", "a b"),
        ("CIRCUIT_BREAKER_DATA_DIR", "~nobody-of-that-name/x"),
    ],
)
def test_a_wrong_variable_is_named(file, variable, value):
    with pytest.raises(InvalidConfig, match=variable):
        load(file, {variable: value}, {})


def test_addresses_get_a_scheme_and_lose_their_slash(file):
    assert load(file, {"OLLAMA_BASE_URL": "box:11434/"}, {}).settings.ollama_url == "http://box:11434"


# -- the file ---------------------------------------------------------------------------------------------------------


def test_a_bad_file_is_named_with_line_and_column(file):
    file.write_text('[server]\nhost = "x\n')
    with pytest.raises(InvalidConfig, match="line 2") as caught:
        load(file, {}, {})
    assert caught.value.details["line"] == 2
    assert caught.value.details["column"] > 1
    assert str(file) in caught.value.what


def test_an_unknown_key_comes_with_the_nearest(file):
    file.write_text("[server]\nopenai_prot = 1")
    with pytest.raises(InvalidConfig, match=r"server.openai_prot.*Did you mean server.openai_port\?"):
        load(file, {}, {})


def test_a_file_that_is_not_text_is_refused(file):
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidConfig, match="not UTF-8"):
        load(file, {}, {})


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InvalidConfig, match="cannot be read"):
        load(tmp_path, {}, {})


def test_only_a_file_that_was_named_must_exist(file):
    load(file, {}, {})
    with pytest.raises(InvalidConfig, match="does not exist"):
        load(file, {}, {}, must_exist=True)


@given(st.text(max_size=200))
def test_no_file_makes_it_fail_otherwise(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "config.toml"
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    try:
        load(path, {}, {})
    except InvalidConfig as error:
        assert error.fix or error.why  # noqa: PT017 - most texts are refused, a few are not


# -- saving -----------------------------------------------------------------------------------------------------------


def test_saving_keeps_comments_and_order(file):
    file.write_text("# mine\n[workbench]\n# dark!\ntheme = 'a' # why\n\n[chat]\nmodel = 'm'\n")
    save(file, "workbench.theme", "b")
    text = file.read_text()
    assert "# mine" in text
    assert "# dark!" in text
    assert "# why" in text
    assert text.index("[workbench]") < text.index("[chat]")
    assert load(file, {}, {}).settings.theme == "b"


@pytest.mark.parametrize(
    "before",
    [
        "",
        "[providers.ollama]\nurl = 'http://a'\n",
        "[providers.ollama]\nurl = 'http://a'\n[chat]\nmodel = 'm'\n[providers.custom]\nurl = 'http://c'\n",
        "providers.ollama.url = 'http://a'\n",
        "providers = { ollama = { url = 'http://a' } }\n",
        "[providers]\nollama = { url = 'http://a' }\n",
        "[providers]\n[providers.openai]\nurl = 'http://old'\n",
    ],
)
def test_saving_one_setting_changes_no_other(file, before):
    file.write_text(before)
    known = load(file, {}, {}).settings
    save(file, "providers.openai.url", "http://new")
    after = load(file, {}, {}).settings
    assert after.openai_url == "http://new"
    changed = {name for name, _, _ in specs() if getattr(known, name) != getattr(after, name)}
    assert changed == {"openai_url"}


def test_a_file_that_is_not_there_is_made(tmp_path):
    file = tmp_path / "deep" / "config.toml"
    save(file, "server.openai_port", 0)
    assert tomllib.loads(file.read_text()) == {"server": {"openai_port": 0}}


def test_a_link_stays_a_link(tmp_path):
    real, link = tmp_path / "real.toml", tmp_path / "config.toml"
    link.symlink_to(real)
    save(link, "chat.model", "m")
    assert link.is_symlink()
    assert load(real, {}, {}).settings.default_model == "m"


@pytest.mark.parametrize(("key", "value"), [("server.port", 1), ("server.openai_port", "many")])
def test_wrong_settings_are_not_saved(file, key, value):
    with pytest.raises(InvalidInput):
        save(file, key, value)
    assert not file.exists()


def test_a_broken_file_is_not_overwritten(file):
    file.write_text("= broken")
    with pytest.raises(InvalidConfig):
        save(file, "chat.model", "m")
    assert file.read_text() == "= broken"


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidConfig):
        save(tmp_path / "file" / "config.toml", "chat.model", "m")


# -- .env -------------------------------------------------------------------------------------------------------------


def test_what_dotenv_says_lies_beneath_the_environment(tmp_path):
    file = tmp_path / ".env"
    file.write_text("A=file\nB=file\nEMPTY\nRAW=$A\n")
    assert folders.with_dotenv({"A": "mine"}, file) == {"A": "mine", "B": "file", "RAW": "$A"}


def test_without_dotenv_there_is_the_environment(tmp_path):
    assert folders.with_dotenv({"A": "mine"}, tmp_path / ".env") == {"A": "mine"}


def test_a_dotenv_that_is_not_text_is_refused(tmp_path):
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(InvalidConfig, match=r"\.env cannot be read"):
        folders.with_dotenv({}, tmp_path / ".env")


def test_folders_are_the_platforms(tmp_path):
    home = str(Path.home())
    assert str(folders.data_folder()).startswith(home)
    assert folders.config_file().name == "config.toml"
    assert str(folders.config_file()).startswith(home)
