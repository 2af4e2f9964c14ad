"""Who has a port, as far as the system tells."""

import os
import socket
import sys

import pytest

from server.holders import holder_of_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_holder_is_named_while_it_listens(family: int, host: str) -> None:
    with socket.socket(family) as one:
        try:
            one.bind((host, 0))
        except OSError:
            pytest.skip("no IPv6 here")
        port = one.getsockname()[1]
        assert holder_of_port(port) == ""  # bound is not listening
        one.listen()
        assert holder_of_port(port).endswith(f"(process {os.getpid()})")
    assert holder_of_port(port) == ""
