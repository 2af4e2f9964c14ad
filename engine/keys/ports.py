"""Where keys can be kept."""

from typing import Protocol


class KeyStore(Protocol):
    """Keeps secrets under a name. The methods may block (a keyring may ask its user) and run on a thread.

    All raise KeyringUnavailable when the store does not answer now.
    """

    @property
    def title(self) -> str:
        """What people call it."""
        ...

    def get(self, name: str) -> str | None: ...

    def set(self, name: str, secret: str) -> None: ...

    def delete(self, name: str) -> None: ...
