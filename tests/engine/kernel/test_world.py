"""Ids: unique, and in order of time."""

from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.world import World
from tests.support import NOON, FixedWorld

CROCKFORD = set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_an_id_is_a_ulid():
    made = FixedWorld().world.new_id()
    assert len(made) == 26
    assert set(made) <= CROCKFORD
    milliseconds = 0
    for character in made[:10]:
        milliseconds = milliseconds * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character)
    assert milliseconds == int(NOON.timestamp() * 1000)


@given(st.lists(st.floats(-86_400, 86_400), max_size=30))
def test_ids_are_in_order_whatever_the_clock_does(moves):
    clock = FixedWorld()
    made = [clock.world.new_id()]
    for seconds in moves:
        clock.move(seconds)
        made += [clock.world.new_id(), clock.world.new_id()]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_counting_up_within_a_millisecond_never_runs_over():
    clock = FixedWorld()
    highest = World(lambda: clock.at, lambda: 0.0, lambda bits: (1 << bits) - 1, {})
    first, second = highest.new_id(), highest.new_id()
    assert first < second
    assert first[:10] == second[:10]


def test_the_same_seed_gives_the_same_ids_and_another_gives_others():
    assert FixedWorld(seed=3).world.new_id() == FixedWorld(seed=3).world.new_id()
    assert FixedWorld(seed=3).world.new_id() != FixedWorld(seed=4).world.new_id()


def test_a_secret_is_as_long_as_asked():
    assert len(FixedWorld().world.secret(128)) == 32


def test_the_real_world_tells_aware_time_and_takes_an_environment():
    world = World.real({"A": "b"})
    assert world.now().utcoffset() is not None
    assert world.environ == {"A": "b"}
