"""Chance that comes out the same for the same seed: for simulations and random walks. Pure."""

from collections.abc import Callable

_MASK = (1 << 64) - 1


def uniform_numbers(seed: int) -> Callable[[], float]:
    """Numbers from 0 up to 1, by SplitMix64 (Steele, Lea & Flood 2014)."""
    state = seed & _MASK

    def draw() -> float:
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)

    return draw
