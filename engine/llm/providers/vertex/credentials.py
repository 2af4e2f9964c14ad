"""Google's credentials as files: a service account's key, or what `gcloud auth application-default login` leaves.

The assertion that a service account gives for a token is a JWT of RFC 7523, signed with RS256 ("Using OAuth 2.0 for
Server to Server Applications", developers.google.com, read 2026-08). Signing is the one thing that needs the package
`cryptography`, which the extra `vertex` brings.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from engine.kernel.errors import InvalidConfig, ProviderAuth

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_HOUR_S = 3600
_FIX = "Name the JSON file of a service account, or run `gcloud auth application-default login`."


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a file has. `who` may be shown; `fields` are secrets."""

    who: str
    kind: str
    token_url: str
    fields: Mapping[str, str]

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
    kind = tree.get("type") if isinstance(tree, dict) else None
    match kind:
        case "service_account":
            fields = _texts(tree, ("client_email", "private_key"), file)
            fields["private_key_id"] = str(tree.get("private_key_id", ""))
            return Credentials(fields["client_email"], kind, token_url or str(tree.get("token_uri", TOKEN_URL)), fields)
        case "authorized_user":
            fields = _texts(tree, ("client_id", "client_secret", "refresh_token"), file)
            return Credentials("your Google account", kind, token_url or TOKEN_URL, fields)
        case _:
            raise _bad(file, f"Credentials of the kind {str(kind)[:40]!r} are not known here.")


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


def _bad(file: Path, why: str) -> ProviderAuth:
    return ProviderAuth(f"The credentials in {file} cannot be used.", why=why, fix=_FIX)
