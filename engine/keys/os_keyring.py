"""Keys in the operating system's keyring.

Only backends that encrypt are used: `keyring` would silently take one that writes plain text when `keyrings.alt` is
installed. PYTHON_KEYRING_BACKEND counts only when it names one of the safe ones.
"""

from typing import Any

from engine.kernel.errors import KeyringUnavailable

SERVICE = "circuit-breaker"

_SAFE = {
    "keyring.backends.SecretService.Keyring": "Secret Service",
    "keyring.backends.kwallet.DBusKeyring": "KWallet",
    "keyring.backends.macOS.Keyring": "macOS Keychain",
    "keyring.backends.Windows.WinVaultKeyring": "Windows Credential Locker",
}
_FIX = "Unlock or install one (on Linux: gnome-keyring or KWallet), or set the provider's environment variable."


class OsKeyring:
    """Made by `find`, which chooses the backend."""

    def __init__(self, backend: Any, title: str) -> None:
        self._backend, self.title = backend, title

    @classmethod
    def find(cls) -> "OsKeyring":
        """The safe keyring of this system. Takes about 0.2 s. Raises KeyringUnavailable saying what was found."""
        import keyring  # slow to import, and only wanted when a key is

        try:
            backend: Any = keyring.get_keyring()
            inner = getattr(backend, "backends", None)  # a chain: only its first member would be written to
        except Exception as error:  # a backend that is configured and not there raises whatever it likes
            raise KeyringUnavailable(
                "There is no keyring that keeps secrets safe.",
                why=f"The one that is configured cannot be loaded ({type(error).__name__}).",
                fix=_FIX,
            ) from None
        if inner:
            backend = inner[0]
        name = f"{type(backend).__module__}.{type(backend).__qualname__}"
        if name not in _SAFE:
            raise KeyringUnavailable(
                "There is no keyring that keeps secrets safe.",
                why=f"The system offers {name}."
                if not name.startswith("keyring.backends.fail")
                else "The system offers none.",
                fix=_FIX,
                details={"backend": name},
            )
        return cls(backend, _SAFE[name])

    def get(self, name: str) -> str | None:
        secret: str | None = self._call("get_password", SERVICE, name)
        return secret

    def set(self, name: str, secret: str) -> None:
        self._call("set_password", SERVICE, name, secret)

    def delete(self, name: str) -> None:
        if self.get(name) is not None:
            self._call("delete_password", SERVICE, name)

    def _call(self, method: str, *arguments: str) -> Any:
        try:
            return getattr(self._backend, method)(*arguments)
        except Exception as error:  # keyring, SecretStorage, jeepney and D-Bus each raise their own
            raise KeyringUnavailable(
                f"The keyring ({self.title}) does not answer.",
                why=f"It is locked or was closed ({type(error).__name__}).",
                fix=_FIX,
                details={"backend": self.title},
            ) from None
