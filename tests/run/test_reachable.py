"""An engine that cannot run is refused before anything is imported or written."""

from __future__ import annotations

import importlib.util
import socket

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.run.preflight import check_engine
from nmt_pbt.settings.tree import EngineSettings


def ray(address: str) -> EngineSettings:
    return EngineSettings(name="ray", address=address)


@pytest.mark.parametrize("setting", [{"address": "10.0.0.1:6379"}, {"gpus": 0.5}])
def test_settings_of_rays_workers_are_refused_inline(setting: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="--engine ray"):
        check_engine(EngineSettings.model_validate(setting))


def test_ray_that_is_not_installed_is_told_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'nmt-pbt\[ray\]'"):
        check_engine(EngineSettings(name="ray"))


@pytest.mark.parametrize("address", ["", "here", "host:", "host:0", "host:99999", "a b:1", "http://host:1", "host:1/x"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="expected HOST:PORT"):
        check_engine(ray(address))


@pytest.mark.parametrize("form", ["{}:{}", "ray://{}:{}"])
def test_an_address_where_nobody_listens_is_refused_and_one_that_answers_is_taken(form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = form.format("127.0.0.1", server.getsockname()[1])
        check_engine(ray(address))
    with pytest.raises(UsageError, match="cannot be reached"):
        check_engine(ray(address))


def test_workers_on_this_machine_and_a_cluster_that_ray_finds_itself_are_taken() -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    check_engine(EngineSettings(name="ray", workers=4, gpus=0.25))
    check_engine(ray("auto"))
