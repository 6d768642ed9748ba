"""The fixtures of tests/conftest.py do what they promise."""

from __future__ import annotations

import os
import socket

import pytest
import torch


def test_connecting_to_another_machine_is_refused() -> None:
    with socket.socket() as sock:
        sock.close()  # were the guard missing, this socket would fail otherwise and send nothing
        with pytest.raises(RuntimeError, match=r"offline, but something asked for 192\.0\.2\.1"):
            sock.connect(("192.0.2.1", 443))


def test_looking_up_a_name_is_refused() -> None:
    with pytest.raises(RuntimeError, match="offline"):
        socket.getaddrinfo("model.invalid", 443)


def test_loopback_works() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"bits")
        peer, _ = server.accept()
        with peer:
            assert peer.recv(4) == b"bits"


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_changed_setting_does_not_reach_the_next_test(attempt: int) -> None:
    assert "INFINITY_SUITE_LEAK" not in os.environ
    assert torch.get_default_dtype() == torch.float32
    os.environ["INFINITY_SUITE_LEAK"] = str(attempt)
    torch.set_default_dtype(torch.float64)


@pytest.mark.parametrize("attempt", [1, 2])
def test_every_test_draws_the_same_numbers(attempt: int) -> None:
    expected = torch.rand(3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.rand(3), expected), f"attempt {attempt}"


@pytest.mark.parametrize("attempt", [1, 2])
def test_no_process_group_is_left_to_the_next_test(attempt: int) -> None:
    assert not torch.distributed.is_initialized(), f"attempt {attempt}"
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)


def test_no_hub_is_asked() -> None:
    assert os.environ["HF_HUB_OFFLINE"] == "1"
