"""`dev.py run --stay`: the service and the app accept its models, and it ends correctly."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import pytest
import requests
from rich.console import Console

from dev import commands
from dev.demo import stay
from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from dev.processes import ServerFailed
from refresh.request.spec import parse_spec
from refresh.settings import Settings

APP = "http://127.0.0.1:9"


def test_the_models_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service accepts their knobs and external refreshes, and the app would accept their requests."""
    models: list[str] = []
    post = stay._post

    def posted(url: str, body: Mapping[str, Any]) -> None:
        if url.startswith(APP):
            models.append(parse_spec(json.dumps(body).encode(), Settings(), None).dataset_id)
        else:
            post(url, body)

    monkeypatch.setattr(stay, "_post", posted)
    with serve(PowerBiService()) as service:
        stay.fill(APP, service.base_url)
        for model in stay.MODELS:
            known = requests.get(f"{service.base_url}/control/datasets/{model.id}", timeout=10).json()
            assert known["knobs"]["name"] == model.name
            assert len(known["refreshes"]) + known["planned"] == (1 if model.external else 0)
    assert models == [model.id for model in stay.MODELS for _ in model.callers]
    assert len({model.id for model in stay.MODELS}) == len(stay.MODELS)


class Server:
    """A server of the demo that ends after this many checks."""

    def __init__(self, checks: int, end: type[BaseException]) -> None:
        self.checks, self.end = checks, end

    def check(self) -> None:
        """Raises an exception if the server has ended."""
        self.checks -= 1
        if self.checks < 0:
            raise self.end


def test_it_goes_on_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo repeats requests until Ctrl-C. The end of a server is an error."""
    models: list[str] = []
    monkeypatch.setattr(stay, "fill", lambda base, service: None)
    monkeypatch.setattr(stay, "request", lambda base, model, caller: models.append(model.name))
    monkeypatch.setattr(stay, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(stay, "CHECK_SECONDS", 0.0)
    out = io.StringIO()
    where = Console(file=out, width=80)
    server: Any = Server(4, KeyboardInterrupt)
    stay.keep(where, APP, "http://127.0.0.1:8", [server])
    assert models == ["Orders", "Customers", "Margin by product", "Orders"]
    assert f"{APP}/api/ui" in out.getvalue()
    failing: Any = Server(0, ServerFailed)
    with pytest.raises(ServerFailed):
        stay.keep(where, APP, "http://127.0.0.1:8", [failing])


def test_it_is_for_the_demo_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """--stay is refused for a real model, which the demo refreshes only once."""
    assert commands.parse(["run", "--stay"]).stay is True
    assert commands.parse(["run"]).stay is False
    with pytest.raises(SystemExit):
        commands.parse(["run", "--stay", "--workspace", "x", "--dataset", "y"])
    assert "--stay" in capsys.readouterr().err
