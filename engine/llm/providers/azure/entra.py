"""Tokens of Microsoft Entra ID for an app that was registered there ("Microsoft identity platform and the OAuth 2.0
client credentials flow", learn.microsoft.com, read 2026-08). The variables are those of Microsoft's own libraries."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.kernel.errors import InvalidConfig
from engine.kernel.world import World
from engine.llm.providers.tokens import Issue, Issued, granted
from engine.llm.wire import Address, Wire

AUTHORITY = "https://login.microsoftonline.com"
SCOPE = "https://cognitiveservices.azure.com/.default"
SECRET = "AZURE_CLIENT_SECRET"  # noqa: S105  # a name
NAMES = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", SECRET)
FIX = f"Or set {NAMES[0]}, {NAMES[1]} and {SECRET} of an app."


@dataclass(frozen=True, slots=True)
class App:
    tenant: str
    client: str
    secret: str = field(repr=False)
    authority: str = AUTHORITY

    @classmethod
    def told(cls, environ: Mapping[str, str]) -> "App | None":
        """The app that the environment names; None unless all of it is there. Raises InvalidConfig for a tenant that
        is none, and for an authority to which a secret must not go."""
        tenant, client, secret = (environ.get(name, "").strip() for name in NAMES)
        if not (tenant and client and secret):
            return None
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", tenant):
            raise InvalidConfig(f"{NAMES[0]} is no tenant.", fix="Give its id or its domain, like contoso.com.")
        authority = Address.parse(environ.get("AZURE_AUTHORITY_HOST", "").strip() or AUTHORITY, scheme="https")
        if not (authority.local or authority.url.startswith("https:")):
            why = "The secret of an app would be read by all on the way."
            raise InvalidConfig("AZURE_AUTHORITY_HOST is not https.", why=why, fix=f"Write it like {AUTHORITY}.")
        return cls(tenant, client, secret, authority.url)

    def issue(self, world: World, title: str) -> Issue:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client,
            "client_secret": self.secret,
            "scope": SCOPE,
        }
        address = Address.parse(f"{self.authority}/{self.tenant}/oauth2/v2.0/token")

        async def issue() -> Issued:
            wire = Wire(address, provider="azure", title=f"The token service of {title}", world=world)
            no = f"Microsoft Entra ID gave no token to the app {self.client}."
            fix = f"Look at {', '.join(NAMES[:2])} and whether {SECRET} has expired."
            try:
                return await granted(wire, form, no=no, fix=fix, public=("grant_type", "client_id", "scope"))
            finally:
                await wire.close()

        return issue
