"""Google's credentials as files: a service account's key, what `gcloud auth application-default login` leaves, and the
ways to be taken for who one is elsewhere (workload identity federation), with or without becoming a service account.

The assertion that a service account gives for a token is a JWT of RFC 7523, signed with RS256 ("Using OAuth 2.0 for
Server to Server Applications", developers.google.com, read 2026-08). Signing is the one thing that needs the package
`cryptography`, which the extra `vertex` brings. Federation exchanges a token by RFC 8693 (AIP-4117, google.aip.dev).
Such a file may come from somebody else: what it names is https, or on this machine, or a cloud's metadata server.
"""

import base64
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from engine.kernel.errors import InvalidConfig, ProviderAuth, shown
from engine.llm.wire import is_loopback

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
METADATA_HOST = "metadata.google.internal"
PUBLIC = ("grant_type", "audience", "scope", "requested_token_type", "subject_token_type", "options")
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  # a name
_HOUR_S = 3600
_FIX = "Name the JSON file of a service account, or run `gcloud auth application-default login`."
_PRODUCT = Path("/sys/class/dmi/id/product_name")


@dataclass(frozen=True, slots=True)
class Become:
    """A service account whose token is got with one's own."""

    url: str
    delegates: tuple[str, ...] = ()
    lifetime_s: int = _HOUR_S

    @property
    def body(self) -> Mapping[str, Any]:
        return {"delegates": self.delegates, "scope": [SCOPE], "lifetime": f"{self.lifetime_s}s"}


@dataclass(frozen=True, slots=True)
class Account:
    """A service account or a login. `who` may be shown; `fields` are secrets."""

    who: str
    kind: str
    token_url: str
    fields: Mapping[str, str]
    become: Become | None = None

    def form(self, now: datetime) -> Mapping[str, str]:
        """The form that asks for a token. Raises ProviderAuth for a private key that is none."""
        if self.kind == "authorized_user":
            return {"grant_type": "refresh_token", **self.fields}
        return {"grant_type": _GRANT, "assertion": self._assertion(now)}

    def _assertion(self, now: datetime) -> str:
        issued = int(now.timestamp())
        head = {"alg": "RS256", "typ": "JWT", "kid": self.fields["private_key_id"]}
        claims = {
            "iss": self.who,
            "scope": SCOPE,
            "aud": self.token_url,
            "iat": issued,
            "exp": issued + _HOUR_S,
        }
        signed = b".".join(_base64(orjson.dumps(part)) for part in (head, claims))
        return (signed + b"." + _base64(_signature(self.fields["private_key"], signed))).decode()


@dataclass(frozen=True, slots=True)
class Subject:
    """Where the token is that another one's identity service gave: in a file, or at an address that is asked with
    `headers`, which are secrets. `inside` names the field that has it; empty when it is the whole text."""

    file: Path | None
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    inside: str = ""

    @property
    def place(self) -> str:
        return str(self.file) if self.file else self.url.partition("?")[0]

    def token_in(self, text: str) -> str:
        """Raises ProviderAuth when there is none."""
        found: Any = text.strip()
        if self.inside:
            with suppress(orjson.JSONDecodeError):
                tree = orjson.loads(text)
                found = tree.get(self.inside) if isinstance(tree, dict) else None
        if not isinstance(found, str) or not found or (self.inside and found == text.strip()):
            where = f" in a field {shown(self.inside)}" if self.inside else ""
            raise self.missing(f"There is no token{where}.")
        return found

    def missing(self, why: str) -> ProviderAuth:
        fix = "Look at credential_source in the file of your credentials."
        return ProviderAuth(f"The token in {self.place} cannot be used.", why=why, fix=fix)


@dataclass(frozen=True, slots=True)
class Federation:
    """Somebody who is known elsewhere. `client` is the id and the secret that the exchange itself wants, if any."""

    who: str
    token_url: str
    subject: Subject
    audience: str
    subject_type: str
    client: tuple[str, str] | None = None
    user_project: str = ""
    become: Become | None = None

    def form(self, subject_token: str) -> Mapping[str, str]:
        """The form that exchanges a token; all but the values of PUBLIC is secret."""
        more = {"options": orjson.dumps({"userProject": self.user_project}).decode()} if self.user_project else {}
        return {
            "grant_type": _EXCHANGE,
            "audience": self.audience,
            "scope": SCOPE,
            "requested_token_type": _ACCESS_TOKEN,
            "subject_token_type": self.subject_type,
            "subject_token": subject_token,
            **more,
        }

    @property
    def headers(self) -> Mapping[str, str]:
        if self.client is None:
            return {}
        return {"authorization": f"Basic {base64.b64encode(':'.join(self.client).encode()).decode()}"}


Credentials = Account | Federation


def read_credentials(file: Path, token_url: str = "") -> Credentials:
    """The credentials in a file; `token_url` takes the place of the address that stands in it.

    Raises ProviderAuth for a file that cannot be read or is of another kind.
    """
    try:
        tree = orjson.loads(file.read_bytes())
    except OSError as error:
        raise _bad(file, f"{error.strerror}.") from None
    except orjson.JSONDecodeError:
        raise _bad(file, "It is no JSON.") from None
    try:
        return _read(tree, file, token_url)
    except (AttributeError, TypeError):
        raise _bad(file, "Something in it is of another kind than it has to be.") from None


def _read(tree: Any, file: Path, token_url: str) -> Credentials:
    kind = tree.get("type") if isinstance(tree, dict) else None
    match kind:
        case "service_account":
            fields = _texts(tree, ("client_email", "private_key"), file)
            fields["private_key_id"] = str(tree.get("private_key_id", ""))
            named = _secure(str(tree.get("token_uri") or TOKEN_URL), "token_uri", file)
            return Account(fields["client_email"], kind, token_url or named, fields)
        case "authorized_user":
            fields = _texts(tree, ("client_id", "client_secret", "refresh_token"), file)
            return Account("your Google account", kind, token_url or TOKEN_URL, fields)
        case "external_account":
            return _federation(tree, file, token_url)
        case "impersonated_service_account":
            source = tree.get("source_credentials")
            if isinstance(source, dict) and source.get("type") == kind:
                raise _bad(file, "One service account becomes another that becomes a third.")
            become = _become(tree, file)
            if become is None:
                raise _bad(file, "It has no service_account_impersonation_url.")
            return replace(_read(source, file, token_url), become=become)
        case _:
            raise _bad(file, f"Credentials of the kind {str(kind)[:40]!r} are not known here.")


def _federation(tree: Mapping[str, Any], file: Path, token_url: str) -> Federation:
    fields = _texts(tree, ("audience", "subject_token_type", "token_url"), file)
    id, secret = tree.get("client_id"), tree.get("client_secret")
    return Federation(
        f"the workload identity {shown(fields['audience'].rpartition('/')[2])}",
        token_url or _secure(fields["token_url"], "token_url", file),
        _subject(tree.get("credential_source"), file),
        fields["audience"],
        fields["subject_token_type"],
        (id, secret) if isinstance(id, str) and isinstance(secret, str) else None,
        str(tree.get("workforce_pool_user_project", "")),
        _become(tree, file),
    )


def _subject(source: Any, file: Path) -> Subject:
    form = source.get("format", {}) if isinstance(source, dict) else {}
    inside = str(form.get("subject_token_field_name", "")) if form.get("type") == "json" else ""
    match source:
        case {"environment_id": _}:
            raise _bad(file, "It signs requests to AWS, which is not done here.", _OTHER)
        case {"file": str(name)}:
            return Subject(Path(name).expanduser(), inside=inside)
        case {"url": str(url)}:
            headers = {str(name): str(value) for name, value in (source.get("headers") or {}).items()}
            return Subject(None, _secure(url, "credential_source.url", file, metadata=True), headers, inside)
        case {"executable": _}:
            raise _bad(file, "It gets its token from a program, and none is started here.", _OTHER)
        case _:
            raise _bad(file, "Its credential_source is neither a file nor an address.", _OTHER)


_OTHER = "Make the credentials with a credential source that is a file or a URL, or use a service account."


def _become(tree: Mapping[str, Any], file: Path) -> Become | None:
    if not (url := tree.get("service_account_impersonation_url")):
        return None
    lifetime = (tree.get("service_account_impersonation") or {}).get("token_lifetime_seconds")
    return Become(
        _secure(str(url), "service_account_impersonation_url", file),
        tuple(map(str, tree.get("delegates") or ())),
        lifetime if isinstance(lifetime, int) else _HOUR_S,
    )


def _secure(url: str, name: str, file: Path, *, metadata: bool = False) -> str:
    """An address to which a secret may go, or, of a metadata server, from which one may come."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise _bad(file, f"Its {name} is no address.") from None
    near = is_loopback(host) or (metadata and (host == METADATA_HOST or _link_local(host)))
    if parts.username is not None or not (parts.scheme == "https" or (parts.scheme == "http" and near)):
        raise _bad(file, f"Its {name} is not https.", "Correct that address, and ask where the file comes from.")
    return url


def _link_local(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_link_local
    except ValueError:
        return False


def metadata_host(environ: Mapping[str, str], product: Path = _PRODUCT) -> str:
    """Where Google's machines are told who they are; empty on others ("About VM metadata", cloud.google.com, and
    google-auth's own signs, read 2026-08). Nothing is asked to find that out."""
    if environ.get("NO_GCE_CHECK", "").casefold() == "true":
        return ""
    if named := environ.get("GCE_METADATA_HOST"):
        return named
    with suppress(OSError, UnicodeDecodeError):
        if product.read_text().startswith("Google"):
            return METADATA_HOST
    return METADATA_HOST if environ.get("K_SERVICE") else ""  # Cloud Run


def default_file(environ: Mapping[str, str]) -> Path | None:
    """Where credentials are by custom: GOOGLE_APPLICATION_CREDENTIALS, else what gcloud keeps; None when there are none
    ("How Application Default Credentials works", cloud.google.com, read 2026-08)."""
    if named := environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return Path(named).expanduser()
    home = environ.get("APPDATA") or (f"{environ['HOME']}/.config" if environ.get("HOME") else "")
    file = Path(home) / "gcloud" / "application_default_credentials.json"
    return file if home and file.exists() else None


def _texts(tree: Mapping[str, Any], names: tuple[str, ...], file: Path) -> dict[str, str]:
    for name in names:
        if not isinstance(tree.get(name), str) or not tree[name]:
            raise _bad(file, f"It has no {name}.")
    return {name: tree[name] for name in names}


def _signature(private_key: str, text: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
    except ImportError:
        raise InvalidConfig(
            "A service account cannot be used here.",
            why="Its requests for a token are signed, and the package that does that is missing.",
            fix="pip install 'circuit-breaker[vertex]'",
        ) from None
    try:
        key = serialization.load_pem_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ProviderAuth("The service account's private key is no RSA key.", fix=_FIX)
    return key.sign(text, padding.PKCS1v15(), hashes.SHA256())


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _bad(file: Path, why: str, fix: str = _FIX) -> ProviderAuth:
    return ProviderAuth(f"The credentials in {file} cannot be used.", why=why, fix=fix)
