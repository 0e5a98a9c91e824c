"""JupyterLab as the course starts it: this machine only, token on, notebook 00, clean stop."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from hybridlab import lab

ROOT = Path(__file__).resolve().parents[1]


# --- a real server ---


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen, str, str]]:
    """A running server: its process, its address, its token."""
    home = tmp_path_factory.mktemp("home")
    config = home / "config"
    config.mkdir()
    # a user's own careless configuration must not open the course to the network
    (config / "jupyter_server_config.json").write_text(
        json.dumps({"ServerApp": {"ip": "0.0.0.0"}, "IdentityProvider": {"token": ""}})
    )
    env = {
        **os.environ, "PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"), "JUPYTER_DATA_DIR": str(home / "data"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    log = open(home / "log", "w+")  # noqa: SIM115
    port = str(lab.free_port(18900))
    child = subprocess.Popen(
        [sys.executable, "-m", "hybridlab", "lab", "--no-browser", "--port", port],
        stdout=subprocess.PIPE, stderr=log, text=True, env=env, cwd=home,
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        found = re.search(r"(http://127\.0\.0\.1:\d+)/lab/tree/(\S+)\?token=([0-9a-f]{48})", line)
        assert found, line + (home / "log").read_text()
        assert found[2] == "notebooks/00_start_here.ipynb"
        address, token = found[1], found[3]
        for _ in range(240):
            try:
                urlopen(f"{address}/api", timeout=5).close()
                break
            except HTTPError:
                break  # it answers
            except URLError:
                assert child.poll() is None, (home / "log").read_text()
                time.sleep(0.25)
        yield child, address, token
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        child.stdout.close()
        log.close()


def status(address: str) -> int:
    try:
        with urlopen(address, timeout=20) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


def test_the_notebook_is_served_with_the_token_only(server: tuple) -> None:
    _, address, token = server
    notebook = f"{address}/api/contents/{lab.FIRST}"
    assert status(notebook) == 403
    assert status(f"{notebook}?token={'0' * 48}") == 403
    with urlopen(f"{notebook}?token={token}", timeout=20) as answer:
        assert answer.status == 200
        content = json.load(answer)
    assert content["type"] == "notebook" and content["content"]["cells"]
    assert status(f"{address}/lab/tree/{lab.FIRST}?token={token}") == 200


def test_only_this_machine_reaches_it(server: tuple) -> None:
    """The port is bound on loopback alone: another address of this machine does not answer."""
    _, address, _ = server
    port = int(urlsplit(address).port or 0)
    with socket.socket() as other:
        other.settimeout(2)
        # 127.0.0.2 is this machine too, but only a server bound to all addresses answers there
        assert other.connect_ex(("127.0.0.2", port)) != 0


def test_the_token_is_not_among_the_arguments(server: tuple) -> None:
    child, _, token = server
    on_linux = Path(f"/proc/{child.pid}/cmdline")  # a small container may have no `ps`
    if on_linux.exists():
        listing = on_linux.read_text()
    else:
        command = ["ps", "-o", "args=", "-p", str(child.pid)]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "hybridlab" in listing and token not in listing


def test_it_stops_cleanly(server: tuple) -> None:
    """The last test of the server."""
    child, address, _ = server
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=20) == 0
    with pytest.raises(URLError):
        urlopen(f"{address}/api", timeout=5)


# --- ports and folders ---


def test_free_port_steps_over_a_taken_one() -> None:
    with socket.socket() as taken:
        taken.bind((lab.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert lab.free_port(port) != port
        last_resort = lab.free_port(port, tries=1)
        assert last_resort != port and last_resort > 0
    assert lab.free_port(port) == port


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_number_that_is_no_port(port: int) -> None:
    with pytest.raises(ValueError, match=f"port is {port}"):
        lab.free_port(port)


def test_without_notebooks_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lab, "__file__", str(tmp_path / "site-packages" / "hybridlab" / "lab.py"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(FileNotFoundError, match="clone the course's repository"):
        lab.course_folder()
    (elsewhere / "notebooks").mkdir()
    (elsewhere / lab.FIRST).write_text("{}")
    assert lab.course_folder() == elsewhere


def test_arguments_ask_for_loopback_and_a_token() -> None:
    arguments = lab.server_arguments(ROOT, 8890, "secret", browser=False)
    assert "--ServerApp.ip=127.0.0.1" in arguments
    assert "--IdentityProvider.token=secret" in arguments
    assert "--ServerApp.open_browser=False" in arguments
    assert f"--ServerApp.root_dir={ROOT}" in arguments
    assert not any("0.0.0.0" in argument for argument in arguments)
