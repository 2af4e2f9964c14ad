"""Durations of ISO 8601: `PT15M`, `P2DT12H`, `P3W`."""

import re

_DURATION = re.compile(
    r"P(?=.)(?:(?P<W>\d+)W)?(?:(?P<Y>\d+)Y)?(?:(?P<M>\d+)M)?(?:(?P<D>\d+)D)?"
    r"(?:T(?=.)(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?"
)
_SECONDS = {"W": 604_800, "Y": 365 * 86_400, "M": 30 * 86_400, "D": 86_400, "h": 3600, "m": 60, "s": 1}


def seconds_of(duration: str) -> float | None:
    """Its seconds, a month being 30 days and a year 365; None when it is no duration."""
    match = _DURATION.fullmatch(duration.strip()) if len(duration) <= 100 else None
    if not match:
        return None
    total = sum(float(number) * _SECONDS[unit] for unit, number in match.groupdict().items() if number)
    return int(total) if total == int(total) else total
