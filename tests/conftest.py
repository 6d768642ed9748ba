"""Isolation: every test starts from the same seeds and settings, offline, with no process group around."""

from __future__ import annotations

import ipaddress
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported, so before any test module

import hypothesis
import numpy as np
import pytest
import torch

from tests.parity.folder import take_folder

if TYPE_CHECKING:
    from infinity.pipeline import InfinityPipeline

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores
    torch.set_num_threads(1)

hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, database=None, max_examples=50)
hypothesis.settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--demo-run",
        type=Path,
        metavar="DIR",
        help="a run of `make demo` (basic) whose model is edited, instead of one that is trained first",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Take ``--fixtures DIR`` for tests/parity before pytest takes it for its own flag."""
    take_folder(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where there is no CUDA."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs CUDA"))


@pytest.fixture(scope="module")
def pipeline() -> InfinityPipeline:
    """A tiny pipeline with random weights, the same ones in every module."""
    from tests.pipelines import tiny_pipeline

    torch.manual_seed(0)
    return tiny_pipeline()


@pytest.fixture(scope="module")
def model(pipeline: InfinityPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the saved pipeline."""
    directory = tmp_path_factory.mktemp("model")
    pipeline.save_pretrained(directory)
    return directory


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _settings_restored() -> Iterator[None]:
    environment = dict(os.environ)
    dtype = torch.get_default_dtype()
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    # asked first, for the setter imports the compiler, which takes seconds
    if torch.are_deterministic_algorithms_enabled() != deterministic:
        torch.use_deterministic_algorithms(deterministic)
    torch.set_default_dtype(dtype)
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture(autouse=True)
def _no_process_group_left() -> Iterator[None]:
    yield
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse Python sockets that would leave this machine (gloo's sockets are C++ and stay on loopback)."""

    def guarded(method: Any) -> Any:
        def connect(sock: socket.socket, address: Any) -> Any:
            if sock.family != socket.AF_UNIX:
                _refuse_unless_loopback(address[0])
            return method(sock, address)

        return connect

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_unless_loopback(host)
        return resolve(host, *args, **kwargs)

    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def _refuse_unless_loopback(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", socket.gethostname()):
        return
    try:
        loopback = ipaddress.ip_address(name).is_loopback
    except ValueError:  # a name that would have to be looked up
        loopback = False
    if not loopback:
        raise RuntimeError(f"tests run offline, but something asked for {name}; use a local stand-in instead")
