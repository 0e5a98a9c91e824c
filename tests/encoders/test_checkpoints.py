"""Reading and fetching files of weights, with a real server on this machine."""

import hashlib
import http.server
import os
import pickle
import socket
import threading
import time

import pytest
import torch
from safetensors.torch import save_file

from hybridlab.encoders.base import MissingWeightsError
from hybridlab.encoders.checkpoints import fetch, hub_weights, read_weights

BODY = bytes(range(256)) * 5000
HASH = hashlib.sha256(BODY).hexdigest()[:8]


@pytest.fixture
def server(monkeypatch):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if "gone" in self.path:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY[:1000] if "short" in self.path else BODY)

        def log_message(self, *args):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_fetch_writes_the_whole_file(server, tmp_path):
    fetch(f"{server}/net-{HASH}.pth", tmp_path / "net.pth")
    assert (tmp_path / "net.pth").read_bytes() == BODY
    assert os.listdir(tmp_path) == ["net.pth"]


@pytest.mark.parametrize(("page", "error"), [
    ("net-00000000.pth", ValueError),  # another hash
    (f"short-{HASH}.pth", (ValueError, OSError)),  # the connection ends early
    (f"gone-{HASH}.pth", OSError),
])
def test_a_bad_download_leaves_nothing(server, tmp_path, page, error):
    with pytest.raises(error):
        fetch(f"{server}/{page}", tmp_path / "net.pth")
    assert os.listdir(tmp_path) == []


def test_a_silent_host_is_given_up_in_time(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(OSError):
            fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/x.pth", tmp_path / "x.pth", 0.3)
        assert time.monotonic() - start < 3
    assert os.listdir(tmp_path) == []


def test_a_look_up_that_hangs_is_given_up_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(6))
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="no answer"):
        fetch("http://weights.invalid/x.pth", tmp_path / "x.pth", 0.1)
    assert time.monotonic() - start < 4


def test_hub_uses_the_cache_then_fetches_then_explains(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    path = hub_weights(f"{server}/net-{HASH}.pth", "net", "other")
    assert path == folder / f"net-{HASH}.pth"
    assert path.read_bytes() == BODY
    path.write_bytes(b"mine")
    assert hub_weights(f"{server}/net-{HASH}.pth", "net", "other").read_bytes() == b"mine"
    with pytest.raises(MissingWeightsError) as caught:
        hub_weights(f"{server}/gone-{HASH}.pth", "net", "other")
    for part in ("net", f"gone-{HASH}.pth", str(folder), "'other'", "weights_path", "404"):
        assert part in str(caught.value)
    assert server not in str(caught.value)


def test_cache_folder_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))
    with pytest.raises(MissingWeightsError, match="put the file"):
        hub_weights("http://127.0.0.1:9/net.pth", "net", "other")


def test_both_formats_are_read(tmp_path):
    state = {"a": torch.arange(3.0), "b": torch.ones(2, 2)}
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pth")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "nested.pt")
    for name in ("w.safetensors", "w.pth", "nested.pt"):
        got = read_weights(tmp_path / name)
        assert got.keys() == state.keys()
        assert all(torch.equal(got[key], state[key]) for key in state)


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def test_damaged_hostile_and_foreign_files(tmp_path):
    torch.save({"a": torch.ones(1000)}, tmp_path / "cut.pth")
    whole = (tmp_path / "cut.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    marker = tmp_path / "executed"
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"a": Hostile(str(marker))}, 2))
    torch.save({"a": Hostile(str(marker))}, tmp_path / "evil.pt")
    for name in ("cut.pth", "empty.pth", "empty.safetensors", "evil.pth", "evil.pt"):
        with pytest.raises(ValueError, match="not a readable weights file") as caught:
            read_weights(tmp_path / name)
        assert name in str(caught.value)
    assert not marker.exists()
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="named tensors"):
        read_weights(tmp_path / "list.pth")
    with pytest.raises(MissingWeightsError, match=r"absent\.pth"):
        read_weights(tmp_path / "absent.pth")
