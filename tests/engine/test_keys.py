"""Keys: who wins, where they may go, and what happens when there is no safe place for them."""

import asyncio
import os
import shutil
import subprocess
import sys
import threading
import types

import keyring
import keyring.backend
import keyring.errors
import pytest

from engine.kernel.errors import InvalidInput, KeyringUnavailable, NotFound
from engine.keys.environment import VARIABLES
from engine.keys.memory import MemoryKeys
from engine.keys.os_keyring import OsKeyring
from engine.keys.providers import ProviderKeys
from engine.keys.service import Keys, origin_of
from engine.store.memory.store import MemoryStore
from tests.support import FixedWorld

OPENAI = "https://api.openai.com/v1"
KEY = "sk-one-0123456789"


class Ring(MemoryKeys):
    """A keyring that keeps what it is given, until it is told to fail."""

    title = "Test Ring"

    def __init__(self):
        super().__init__()
        self.fails = False

    def get(self, name):
        self._answer()
        return super().get(name)

    def set(self, name, secret):
        self._answer()
        super().set(name, secret)

    def delete(self, name):
        self._answer()
        super().delete(name)

    def _answer(self):
        if self.fails:
            raise KeyringUnavailable("The keyring is locked.")


def none_found():
    raise KeyringUnavailable("There is none.")


class Bench:
    """A shelf, a ring and what was learnt; `keys()` is the service as a fresh start makes it."""

    def __init__(self):
        self.store, self.ring, self.learnt = MemoryStore(), Ring(), []

    def keys(self, environ=None, find=None, **more):
        world, ring = FixedWorld(environ).world, find or (lambda: self.ring)
        return Keys(self.store.shelf, world, ring, self.learnt.extend, {"openai": OPENAI, "custom": OPENAI}, **more)


@pytest.fixture
def bench():
    return Bench()


# -- where a key comes from -------------------------------------------------------------------------------------------


async def test_a_key_is_kept_in_the_keyring_and_there_after_a_restart(bench):
    info = await bench.keys().set("openai", OPENAI, f" {KEY}\n")
    assert (info.where, info.ending, info.origin) == ("Test Ring", "…6789", "https://api.openai.com:443")
    again = bench.keys()
    assert again.secrets("openai", OPENAI) == []
    await again.load()
    assert again.secrets("openai", OPENAI) == [KEY]


async def test_nothing_but_the_keyring_has_the_key(bench):
    await bench.keys().set("openai", OPENAI, KEY)
    stored = repr(bench.store.shelf._documents)
    assert "openai@https://api.openai.com:443" in stored
    assert KEY not in stored
    assert KEY[-8:] not in stored


async def test_the_environment_wins_and_is_written_nowhere(bench):
    keys = bench.keys({"OPENAI_API_KEY": "sk-env-0123456789", "OPENAI_API_KEYS": "sk-two, sk-three,,sk-two"})
    await keys.set("openai", OPENAI, KEY)
    assert keys.secrets("openai", OPENAI) == ["sk-env-0123456789", "sk-two", "sk-three", KEY]
    assert bench.ring._secrets == {"openai@https://api.openai.com:443": KEY}
    assert [info.where for info in keys.known({"openai": OPENAI})] == [
        "OPENAI_API_KEY",
        "OPENAI_API_KEYS",
        "OPENAI_API_KEYS",
        "Test Ring",
    ]


async def test_lists_and_other_names_of_variables_are_read_and_each_key_once(bench):
    environ = {
        "ANTHROPIC_API_KEY": "a-one-0123456789",
        "ANTHROPIC_API_KEYS": "a-one-0123456789, a-two-0123456789,",
        "GEMINI_API_KEY": "g-one-0123456789",
        "LAB_KEYS": "l-one-0123456789,l-two-0123456789",
    }
    variables = {**VARIABLES, "lab": ("LAB_KEYS",)}
    homes = {"anthropic": "https://a.test", "google": "https://g.test", "lab": "https://l.test/v1"}
    keys = Keys(
        bench.store.shelf, FixedWorld(environ).world, none_found, bench.learnt.extend, homes, variables=variables
    )
    assert keys.secrets("anthropic", "https://a.test/v1") == ["a-one-0123456789", "a-two-0123456789"]
    assert keys.secrets("google", "https://g.test") == ["g-one-0123456789"]
    assert keys.secrets("lab", "https://l.test") == ["l-one-0123456789", "l-two-0123456789"]
    assert keys.secrets("lab", "https://elsewhere.test") == []
    assert "l-two-0123456789" in bench.learnt


async def test_where_a_key_is_kept_is_said_with_what_replaces_it(bench):
    keys = bench.keys({"OPENAI_API_KEYS": f"{KEY},sk-two-0123456789"})
    await keys.set("custom", OPENAI, "sk-ring-0123456789")
    assert keys.kept("openai", KEY) == ("from OPENAI_API_KEYS", "Correct OPENAI_API_KEYS, and start again.")
    assert keys.kept("custom", "sk-ring-0123456789") == (
        "kept by Test Ring",
        "Replace it with `circuit-breaker keys set custom`.",
    )
    assert keys.kept("custom", "sk-unknown") == ("", "")


async def test_every_key_is_told_to_the_log(bench):
    keys = bench.keys({"ANTHROPIC_API_KEY": "sk-ant-env"})
    assert bench.learnt == ["sk-ant-env"]
    await keys.set("openai", OPENAI, KEY)
    bench.learnt.clear()
    await bench.keys().load()
    assert bench.learnt == [KEY]


async def test_short_keys_show_nothing_of_themselves(bench):
    assert (await bench.keys().set("openai", OPENAI, "abcd1234")).ending == "…"


@pytest.mark.parametrize(
    "bad", ["", "abc", "two words", "line\nbreak", "kéy-0123", "x" * 10_001, "a\x00bcd"], ids=range(7)
)
async def test_what_is_no_key_is_refused_without_repeating_it(bench, bad):
    with pytest.raises(InvalidInput) as caught:
        await bench.keys().set("openai", OPENAI, bad)
    if bad:
        assert bad not in str(caught.value)
    assert bench.ring._secrets == {}


# -- bound to an origin -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("https://api.openai.com/v2/other", True),
        ("https://API.openai.com:443", True),
        ("https://user@api.openai.com", True),
        ("http://api.openai.com/v1", False),
        ("https://api.openai.com:8443/v1", False),
        ("https://api.openai.com.evil.example/v1", False),
        ("https://evil.example/api.openai.com", False),
        ("", False),
    ],
)
async def test_a_key_goes_only_where_it_was_given_for(bench, address, same):
    keys = bench.keys()
    await keys.set("openai", OPENAI, KEY)
    assert keys.secrets("openai", address) == ([KEY] if same else [])
    assert keys.secrets("custom", address) == []
    assert keys.has("openai", address) is same


@pytest.mark.parametrize("address", ["http://x:99999", "http://x:abc", "http://["])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InvalidInput, match="no address"):
        origin_of(address)


async def test_an_owner_has_a_key_of_its_own_before_all_others(bench):
    keys = bench.keys({"OPENAI_API_KEY": "sk-env"})
    await keys.set("openai", OPENAI, KEY)
    await keys.set("openai", OPENAI, "sk-agent", owner="agent_1")
    assert keys.secrets("openai", OPENAI, owner="agent_1") == ["sk-agent", "sk-env", KEY]
    assert keys.secrets("openai", OPENAI, owner="agent_2") == ["sk-env", KEY]
    assert keys.secrets("openai", OPENAI) == ["sk-env", KEY]


# -- no keyring -------------------------------------------------------------------------------------------------------


async def test_without_a_keyring_a_key_lives_for_this_run_and_says_so(bench):
    keys = bench.keys(find=none_found)
    info = await keys.set("openai", OPENAI, KEY)
    assert info.where == "memory, for this run only"
    assert keys.secrets("openai", OPENAI) == [KEY]
    again = bench.keys(find=none_found)
    await again.load()
    assert again.secrets("openai", OPENAI) == []


async def test_a_locked_keyring_takes_no_key_and_gives_none(bench):
    await bench.keys().set("openai", OPENAI, KEY)
    bench.ring.fails = True
    keys = bench.keys()
    await keys.load()
    assert keys.secrets("openai", OPENAI) == []
    assert (await keys.set("openai", OPENAI, "sk-other-one")).where.startswith("memory")
    with pytest.raises(KeyringUnavailable):
        await keys.delete("openai", OPENAI)
    bench.ring.fails = False
    await keys.delete("openai", OPENAI)
    assert bench.ring._secrets == {}
    assert keys.secrets("openai", OPENAI) == []


async def test_a_keyring_that_waits_for_a_password_is_given_up(bench):
    unlocked = threading.Event()

    def waits():
        unlocked.wait(20)
        return bench.ring

    keys = bench.keys(find=waits, timeout_s=0.01)
    info = await keys.set("openai", OPENAI, KEY)
    assert info.where.startswith("memory")
    waiting = [thread for thread in threading.enumerate() if thread.name == "keyring"]
    assert waiting
    assert all(thread.daemon for thread in waiting)  # none of them keeps the program from ending
    unlocked.set()
    for thread in waiting:
        await asyncio.to_thread(thread.join, 20)


# -- forgetting -------------------------------------------------------------------------------------------------------


async def test_a_deleted_key_is_gone_everywhere(bench):
    keys = bench.keys()
    await keys.set("openai", OPENAI, KEY)
    await keys.delete("openai", OPENAI)
    assert keys.secrets("openai", OPENAI) == []
    assert bench.ring._secrets == {}
    assert await bench.store.shelf.list("key") == []
    with pytest.raises(NotFound, match="no stored key for openai"):
        await keys.delete("openai", OPENAI)


async def test_a_key_of_the_environment_cannot_be_deleted_here(bench):
    with pytest.raises(NotFound, match="comes from OPENAI_API_KEY"):
        await bench.keys({"OPENAI_API_KEY": KEY}).delete("openai", OPENAI)


async def test_by_a_providers_name_alone(bench):
    changed = []
    keys = ProviderKeys(bench.keys(), {"openai": OPENAI, "azure": ""}, changed.append)
    await keys.set("openai", KEY)
    assert [info.provider for info in keys.all()] == ["openai"]
    await keys.delete("openai")
    assert changed == ["openai", "openai"]
    with pytest.raises(NotFound, match="Did you mean 'openai'"):
        await keys.set("opnai", KEY)
    with pytest.raises(InvalidInput, match="AZURE_OPENAI_ENDPOINT"):
        await keys.set("azure", KEY)


# -- the system's keyring ---------------------------------------------------------------------------------------------


def backend_named(module, name, **methods):
    """An object whose class says that it is `module.name`."""
    made = types.new_class(name, (keyring.backend.KeyringBackend,), {})
    made.__module__, made.__qualname__ = module, name
    made.__abstractmethods__ = frozenset()
    for method, body in methods.items():
        setattr(made, method, body)
    return made()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keyrings.alt.file", "PlaintextKeyring"),
        ("keyrings.alt.file", "EncryptedKeyring"),
        ("keyring.backends.null", "Keyring"),
        ("keyring.backends.fail", "Keyring"),
        ("evil.backends.SecretService", "Keyring"),
    ],
)
def test_a_keyring_that_is_not_known_to_be_safe_is_refused(monkeypatch, module, name):
    monkeypatch.setattr(keyring, "get_keyring", lambda: backend_named(module, name))
    with pytest.raises(KeyringUnavailable, match="no keyring that keeps secrets safe") as caught:
        OsKeyring.find()
    assert caught.value.details["backend"] == f"{module}.{name}"


@pytest.mark.parametrize("module", ["keyring.backends.SecretService", "keyring.backends.macOS"])
def test_a_safe_one_is_taken_also_from_the_head_of_a_chain(monkeypatch, module):
    safe = backend_named(module, "Keyring", get_password=lambda *_: "secret")
    unsafe = backend_named("keyrings.alt.file", "PlaintextKeyring")
    for backend in (safe, types.SimpleNamespace(backends=[safe, unsafe])):
        monkeypatch.setattr(keyring, "get_keyring", lambda backend=backend: backend)
        assert OsKeyring.find().get("x") == "secret"
    monkeypatch.setattr(keyring, "get_keyring", lambda: types.SimpleNamespace(backends=[unsafe, safe]))
    with pytest.raises(KeyringUnavailable):
        OsKeyring.find()


def test_one_that_is_configured_and_not_there_is_no_keyring(monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "no.such.module.Keyring")
    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    with pytest.raises(KeyringUnavailable, match="cannot be loaded"):
        OsKeyring.find()


@pytest.mark.parametrize("error", [keyring.errors.KeyringLocked, keyring.errors.InitError, OSError, RuntimeError])
def test_whatever_a_backend_raises_is_unavailable_and_shows_no_secret(error):
    def fails(*_):
        raise error(KEY)

    ring = OsKeyring(types.SimpleNamespace(get_password=fails, set_password=fails), "Test")
    for call in (lambda: ring.get("x"), lambda: ring.set("x", KEY), lambda: ring.delete("x")):
        with pytest.raises(KeyringUnavailable) as caught:
            call()
        assert KEY not in str(caught.value)
        assert caught.value.__cause__ is None


SECRET_SERVICE = """
import asyncio
from engine.keys.os_keyring import OsKeyring
ring = OsKeyring.find()
ring.set("a@b", "sk-real")
assert OsKeyring.find().get("a@b") == "sk-real"
ring.delete("a@b")
ring.delete("a@b")
assert ring.get("a@b") is None
print(ring.title)
"""


@pytest.mark.keyring
@pytest.mark.skipif(
    not (shutil.which("dbus-run-session") and shutil.which("gnome-keyring-daemon")),
    reason="needs dbus-run-session and gnome-keyring-daemon",
)
def test_a_real_secret_service_keeps_gives_and_forgets(tmp_path):
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    unlock = "printf pw | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null"
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(runtime), "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", f'{unlock}; exec "$0" -c "$1"', sys.executable, SECRET_SERVICE],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "Secret Service"), done.stderr


async def test_a_key_of_the_environment_goes_to_the_provider_and_nowhere_else(bench):
    keys = bench.keys({"OPENAI_API_KEY": KEY})
    assert keys.secrets("openai", OPENAI) == [KEY]
    assert keys.secrets("openai", "https://elsewhere.example/v1") == []
