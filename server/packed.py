"""Bodies that were sent packed, as some clients do (RFC 9110, section 8.4): gzip, deflate and zstd, one coding at most.

What comes out is bounded: a small body can be packed so that it fills the memory.
"""

import io
import zlib
from collections.abc import Callable, Mapping

from backports import zstd

from engine.kernel.errors import InvalidInput, TooLarge, shown


def _inflated(kind: int) -> Callable[[bytes, int], bytes]:
    def unpack(data: bytes, most: int) -> bytes:
        reader = zlib.decompressobj(kind)
        found = reader.decompress(data, most + 1)
        if len(found) <= most and not reader.eof:
            raise EOFError("it breaks off")
        return found

    return unpack


def _zstd(data: bytes, most: int) -> bytes:
    with zstd.ZstdFile(io.BytesIO(data)) as reader:
        return reader.read(most + 1)


_UNPACK: Mapping[str, Callable[[bytes, int], bytes]] = {
    "gzip": _inflated(31),
    "x-gzip": _inflated(31),
    "deflate": _inflated(zlib.MAX_WBITS),
    "zstd": _zstd,
}


def unpacked(data: bytes, coding: str, most: int) -> bytes:
    """`data` as it was before `coding`, a Content-Encoding. Raises InvalidInput, and TooLarge above `most` bytes."""
    coding = coding.strip().casefold()
    if coding in ("", "identity"):
        return data
    if coding not in _UNPACK:
        raise InvalidInput(
            f"The request is packed with {shown(coding)}.",
            fix="Send it as it is, or packed with gzip, deflate or zstd.",
            details={"path": "content-encoding"},
        )
    try:
        found = _UNPACK[coding](data, most)
    except (EOFError, OSError, zlib.error, zstd.ZstdError) as error:
        raise InvalidInput(
            f"The request cannot be unpacked with {coding}.", why=f"{error}.", details={"path": "content-encoding"}
        ) from None
    if len(found) > most:
        raise TooLarge(
            "The request is too large once it is unpacked.",
            why=f"At most {most:,} bytes are taken.",
            details={"limit": most},
        )
    return found
