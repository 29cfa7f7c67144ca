import socket

import pytest

from citadel_k8s.local.ports import LOOPBACK, Port


def test_a_server_can_listen_on_a_port_that_is_held_for_it() -> None:
    with (
        Port() as port,
        socket.create_server((LOOPBACK, port.number)) as server,
        socket.create_connection((LOOPBACK, port.number)) as client,
    ):
        assert client.getpeername() == server.getsockname()


def test_a_held_port_is_given_to_nobody_who_asks_for_any() -> None:
    ports = [Port() for _ in range(200)]
    try:
        with socket.socket() as other:
            other.bind((LOOPBACK, 0))
            assert other.getsockname()[1] not in {port.number for port in ports}
        assert len({port.number for port in ports}) == 200
    finally:
        for port in ports:
            port.release()


def test_a_held_port_without_its_server_refuses_connections() -> None:
    with Port() as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port.number))


def test_a_released_port_can_be_taken_without_sharing() -> None:
    port = Port()
    port.release()
    with socket.socket() as other:
        other.bind((LOOPBACK, port.number))
