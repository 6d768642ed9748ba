"""``python -m infinity serve``, up to where it would serve; tests/integration drives the page."""

from __future__ import annotations

import socket
import sys

import pytest

from infinity.__main__ import main
from tests.pipelines import tiny_pipeline


def test_a_missing_gradio_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "infinity.serve.page", raising=False)
    with pytest.raises(SystemExit, match=r"error: .*needs the package gradio .*infinity-suite\[serve\]"):
        main(["serve"])


def test_a_missing_model_is_one_sentence(tmp_path) -> None:
    pytest.importorskip("gradio")
    with pytest.raises(SystemExit, match="error: .*no saved pipeline"):
        main(["serve", "--model", str(tmp_path)])


def test_a_port_that_is_taken_is_one_sentence(tmp_path) -> None:
    pytest.importorskip("gradio")
    tiny_pipeline().save_pretrained(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=f"error: no page can be served at 127.0.0.1:{port}; choose"):
            main(["serve", "--model", str(tmp_path), "--port", str(port)])


@pytest.mark.parametrize("port", ["-1", "0", "65536"])
def test_a_port_that_is_none_is_one_sentence(port: str) -> None:
    with pytest.raises(SystemExit, match=rf"error: --port must be in \[1, 65535\], got {port}"):
        main(["serve", f"--port={port}"])
