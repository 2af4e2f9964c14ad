"""Pictures that a prompt only names: what is fetched, from where, and what is refused."""

import base64
from ipaddress import ip_address

import pytest

from engine.kernel.errors import ProviderRejected
from engine.kernel.world import World
from engine.llm import pictures
from engine.llm.messages import ChatMessage, ChatRequest, Image, Preferences, Text
from engine.llm.pictures import Pictures, is_public, resolved
from tests.servers.loopback import Raw, Status
from tests.servers.picture_host import PNG, PictureHost

DATA = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


@pytest.fixture
def host():
    with PictureHost() as running:
        yield running


class Names:
    """A resolver that is asked and gives these addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses, self.asked = addresses, list[str]()

    async def __call__(self, name: str, port: int) -> tuple[str, ...]:
        self.asked.append(name)
        return self.addresses


def asking(*urls: str, **wishes: bool) -> ChatRequest:
    message = ChatMessage("user", (Text("What is it?"), *map(Image, urls)))
    return ChatRequest("auto", (message,), preferences=Preferences(**wishes))


async def seen(found: Pictures, request: ChatRequest) -> list[str]:
    inside = await found.inside(request, "ollama", "llava")
    return [part.url for part in inside.messages[0].parts if isinstance(part, Image)]


async def test_a_picture_is_fetched_from_the_address_that_was_looked_at(host):
    names, port = Names("127.0.0.1"), host.url.rpartition(":")[2]
    url = f"http://pictures.test:{port}/a/b.png?size=2"
    assert await seen(Pictures(World.real({}), "any", names), asking(url, DATA, url)) == [DATA, DATA, DATA]
    assert names.asked == ["pictures.test"]
    [request] = host.requests
    assert (request.path, request.headers["host"]) == ("/a/b.png?size=2", f"pictures.test:{port}")
    assert "authorization" not in request.headers


async def test_nothing_is_fetched_unless_it_is_allowed(host):
    names = Names("127.0.0.1")
    for allowed, wishes in (("no", {}), ("any", {"local_only": True})):
        with pytest.raises(ProviderRejected, match="as a `data:` URL") as caught:
            await seen(Pictures(World.real({}), allowed, names), asking(f"{host.url}/a.png", **wishes))
        assert caught.value.details == {"provider": "ollama", "model": "llava"}
    assert (host.requests, names.asked) == ([], [])
    assert await seen(Pictures(World.real({}), "no", names), asking(DATA)) == [DATA]


@pytest.mark.parametrize(
    "addresses", [("127.0.0.1",), ("10.0.0.1",), ("169.254.169.254",), ("::ffff:127.0.0.1",), ("8.8.8.8", "127.0.0.1")]
)
async def test_names_of_near_addresses_are_refused_before_they_are_asked(host, addresses):
    port = host.url.rpartition(":")[2]
    with pytest.raises(ProviderRejected, match="not on the open internet"):
        await seen(Pictures(World.real({}), "public", Names(*addresses)), asking(f"http://pictures.test:{port}/a.png"))
    assert host.requests == []


async def test_near_addresses_in_any_spelling_are_refused(host):
    port = host.url.rpartition(":")[2]
    for name in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1"):
        with pytest.raises(ProviderRejected, match=r"not on the open internet|no host of that name"):
            await seen(Pictures(World.real({}), "public", resolved), asking(f"http://{name}:{port}/a.png"))
    assert host.requests == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("fd00::1", False),
        ("fe80::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
        ("::127.0.0.1", False),
        ("64:ff9b:1::a00:1", False),
        ("fec0::1", False),
    ],
)
def test_what_is_on_the_open_internet(address, public):
    assert is_public(ip_address(address)) is public


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Status(404, {"error": "gone"}), "gone"),
        (Status(302, {}, {"location": "http://127.0.0.1:1/"}), "302"),
        (Raw((b"<svg/>",), "image/svg+xml"), "no PNG, JPEG, GIF or WebP"),
        (Raw((PNG,), "text/plain"), "'text/plain', not image"),
        (Raw((b"<html>",), "text/html"), "web page"),
        (Raw((PNG, b"x" * 200), "image/png"), "longer than 100 bytes"),
    ],
)
async def test_what_is_no_picture_is_refused_and_the_model_is_not_to_blame(host, monkeypatch, said, why):
    monkeypatch.setattr(pictures, "MOST_BYTES", 100)
    host.script.append(said)
    with pytest.raises(ProviderRejected, match=rf"(?s)cannot be given to llava.*{why}.*as a `data:` URL"):
        await seen(Pictures(World.real({}), "any"), asking(f"{host.url}/a.png"))


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret@pictures.test/a.png",
        "http:///a.png",
        "http://pictures.test:x/a.png",
        "http://[x/a.png",
        "http://pictures.test/\x01",
    ],
)
async def test_addresses_that_are_none_are_refused(url):
    with pytest.raises(ProviderRejected, match="cannot be given to llava"):
        await seen(Pictures(World.real({}), "any", Names("127.0.0.1")), asking(url))


async def test_many_pictures_are_too_many():
    urls = [f"https://pictures.test/{number}" for number in range(21)]
    with pytest.raises(ProviderRejected, match="21 to fetch"):
        await seen(Pictures(World.real({}), "any", Names("127.0.0.1")), asking(*urls))
