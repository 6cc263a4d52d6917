"""Starting and stopping a devhost, its keys, and invalid options."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from devhost.web.server import PortTaken, bind
from devhost_tests.conftest import Start
from devhost_tests.forks import ENVIRONMENT
from devhost_tests.process import APP, KEY, README, Client, Devhost

HOOK = "/runtime/webhooks/durabletask/instances"


def test_every_option_is_documented() -> None:
    """The table in the README and the parser have the same options."""
    table = re.findall(r"^\| `(--[a-z-]+)` \|", README.read_text("utf-8"), re.MULTILINE)
    usage = subprocess.run(
        [sys.executable, "-m", "devhost", "--help"], env=ENVIRONMENT, capture_output=True, text=True, check=True
    ).stdout
    assert set(table) == set(re.findall(r"--[a-z-]+", usage)) - {"--help"}


def test_one_ready_line_and_a_clean_end(tmp_path: Path, start: Start, environment: dict[str, str]) -> None:
    """`python -m devhost` writes one line; SIGTERM ends it with 0, and the state can be used again at once."""
    first = Devhost(APP, tmp_path / "state", env=environment, imported=False)
    code = first.stop()
    assert re.fullmatch(r"devhost ready: http://127\.0\.0\.1:\d+ \(app .*, \d+ functions\)", first.ready)
    assert sys.platform == "win32" or code == 0, first.log
    assert start().base


def test_two_hosts_on_one_state_are_refused(start: Start) -> None:
    """The second host names the directory in its message and does not disturb the first."""
    first, second = start(), start()
    assert second.base == ""
    assert second.stop() == 2
    assert "in use by another devhost" in second.log
    assert first.get("/api/v1/text").status_code == 200


def test_two_hosts_side_by_side(tmp_path: Path, start: Start, environment: dict[str, str]) -> None:
    """Each host has a port of its own for the durable client, so each app uses its own host."""
    hosts = [start(), Devhost(APP, tmp_path / "other", env=environment)]
    try:
        for n, host in enumerate(hosts):
            host.post(f"/api/v1/start/generations/side-{n}", data="0")
        for n, host in enumerate(hosts):
            assert host.wait_for_end(f"side-{n}")["output"] == "end"
            assert host.status(f"side-{1 - n}") is None
    finally:
        hosts[1].stop()


def test_taken_port_is_refused(tmp_path: Path, start: Start, environment: dict[str, str]) -> None:
    """The message names the port."""
    port = start().base.rpartition(":")[2]
    second = Devhost(APP, tmp_path / "other", "--port", port, env=environment)
    assert second.stop() == 2
    assert f"port {port} is in use" in second.log


def test_a_port_that_another_process_takes_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sockets can be bound to one port until one of them listens. From then on, listen() of the other socket
    fails."""
    with socket.socket() as rival:
        rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        rival.bind(("127.0.0.1", 0))

        class Slow(socket.socket):
            def listen(self, backlog: int = 0, /) -> None:
                rival.listen()
                super().listen(backlog)

        monkeypatch.setattr("devhost.web.server.socket.socket", Slow)
        with pytest.raises(PortTaken):
            bind(rival.getsockname()[1])


def test_without_keys_everything_is_open(host: Client) -> None:
    """As with Core Tools, neither functions nor the management API need a key."""
    assert host.get("/api/v1/text").status_code == 200
    assert host.get("/api/v1/locked").status_code == 200
    assert host.get(f"{HOOK}/nobody").status_code == 404


def test_keys_open_what_they_open_on_azure(start: Start) -> None:
    """The host key opens the FUNCTION level, the master key everything, the system key only the management API."""
    host = start("--keys")
    assert host.base, host.log
    host.wait_for_log("devhost keys")
    found = re.search(r"host key (\S+), master key (\S+)", host.log)
    assert found
    key, master = found.groups()

    def status(path: str, code: str = "", header: bool = False) -> int:
        if header:
            return host.get(path, headers={"x-functions-key": code}).status_code
        return host.get(f"{path}?code={code}").status_code

    assert host.get("/api/v1/open").status_code == 200
    refused = host.get("/api/v1/text")
    assert (refused.status_code, refused.content) == (401, b"")
    assert status("/api/v1/text", key) == 200
    assert status("/api/v1/text", key, header=True) == 200
    assert status("/api/v1/text", master) == 200
    assert status("/api/v1/text", KEY) == 401
    assert status("/api/v1/locked", key) == 401
    assert status("/api/v1/locked", master) == 200
    assert status(f"{HOOK}/nobody") == 401
    assert status(f"{HOOK}/nobody", key) == 401
    assert status(f"{HOOK}/nobody", KEY) == 404
    assert status(f"{HOOK}/nobody", master) == 404
    host.stop()
    again = start("--keys")
    assert again.get(f"/api/v1/text?code={key}").status_code == 200, "keys are stored in the state"


def test_settings_and_overlapping_routes(tmp_path: Path, start: Start) -> None:
    """The environment overrides local.settings.json; overlapping routes are logged at the start."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "host.json").write_text("{}")
    (app / "local.settings.json").write_text('{"Values": {"GREETING": "from file", "OTHER": "from file"}}')
    (app / "function_app.py").write_text(
        "import os\nimport azure.functions as func\napp = func.FunctionApp()\n"
        "@app.route(route='{any}')\ndef a_last_resort(req: func.HttpRequest) -> str:\n"
        "    return os.environ['GREETING'] + ', ' + os.environ['OTHER']\n"
        "@app.route(route='x')\ndef x(req: func.HttpRequest) -> str:\n    return 'never'\n"
    )
    host = start(app=app)
    assert host.get("/api/x").text == "hello, from file"
    host.wait_for_log("/api/x matches function a_last_resort and function x; it goes to a_last_resort")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("x = 1", "no FunctionApp or DFApp"),
        ("app = func.FunctionApp()\nother = df.DFApp()", "more than one FunctionApp"),
        (
            "app = df.DFApp()\n@app.orchestration_trigger(context_name='ctx')\ndef o(ctx):\n    yield",
            'Write context_name="context"',
        ),
        (
            "app = df.DFApp()\n@app.route(route='x')\n@app.durable_client_input(client_name='client')\n"
            "def x(req: func.HttpRequest, client):\n    return ''",
            "Write `async def`",
        ),
        (
            "app = df.DFApp()\n@app.activity_trigger(input_name='x')\ndef big(x):\n    pass\n"
            "@app.orchestration_trigger(context_name='context')\ndef Big(context):\n    yield",
            "must differ by more than case",
        ),
        (
            "app = func.FunctionApp()\n@app.route(route='/x')\ndef x(req: func.HttpRequest) -> str:\n    return ''",
            "starts with '/'",
        ),
        (
            "app = func.FunctionApp()\n@app.route(route='{x')\ndef x(req: func.HttpRequest) -> str:\n    return ''",
            "unclosed brace",
        ),
        ("app = df.DFApp()\n@app.activity_trigger(input_name='x')\ndef a(y):\n    pass", "bound to x"),
        (
            "app = df.DFApp()\n@app.activity_trigger(input_name='x')\ndef a(x, y):\n    pass",
            "parameter y has no binding",
        ),
        (
            "app = df.DFApp()\n@app.entity_trigger(context_name='context')\nasync def e(context):\n    pass",
            "never awaits",
        ),
        (
            "app = func.FunctionApp()\n@app.timer_trigger(schedule='0 0 * *', arg_name='t')\ndef t(t):\n    pass",
            "4 fields",
        ),
        ("app = func.FunctionApp()\nimport nowhere", "function_app.py cannot be imported: ModuleNotFoundError"),
        ("app = func.FunctionApp(", "function_app.py cannot be imported: SyntaxError"),
    ],
)
def test_an_app_that_the_platform_refuses_is_refused(tmp_path: Path, start: Start, source: str, sentence: str) -> None:
    """An app that would not load on Azure does not start here either, and the message says what to change."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "host.json").write_text("{}")
    (app / "function_app.py").write_text(
        f"import azure.functions as func\nimport azure.durable_functions as df\n{source}\n"
    )
    host = start(app=app)
    assert host.base == ""
    assert host.stop() == 2
    assert sentence in host.log
