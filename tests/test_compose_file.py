"""compose.yaml: pinned images, loopback ports, read-only mounts of files that are there, and names that fit."""

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.programs import require

ROOT = Path(__file__).parents[1]
PROVISIONING = ROOT / "grafana" / "provisioning"
# The part of https://github.com/compose-spec/compose-spec/blob/main/schema/compose-spec.json that is used here.
KEYS = {
    "image": str,
    "restart": str,
    "command": list,
    "ports": list,
    "extra_hosts": list,
    "volumes": list,
    "security_opt": list,
    "environment": dict,
    "depends_on": list,
    "network_mode": str,
}


class _Loader(yaml.SafeLoader):
    """Knows the two tags with which a second file replaces what the first one says."""


_Loader.add_constructor("!reset", lambda _loader, _node: None)
_Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


def _services(name: str) -> dict[str, dict[str, Any]]:
    content = yaml.load((ROOT / name).read_text(), _Loader)
    assert set(content) <= {"name", "services", "volumes"}
    services: dict[str, dict[str, Any]] = content["services"]
    return services


SERVICES = _services("compose.yaml")
ON_LINUX = _services("compose.linux.yaml")


def _mounts(service: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    for volume in service["volumes"]:
        plain = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", volume)
        source, target, *mode = plain.split(":")
        found.append((source, target, mode[0] if mode else ""))
    return found


@pytest.mark.parametrize("services", [SERVICES, ON_LINUX], ids=["compose", "linux"])
def test_every_key_is_one_of_composes_with_its_type(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {"prometheus", "alertmanager", "grafana"}
    for service in services.values():
        for key, value in service.items():
            assert value is None or isinstance(value, KEYS[key]), key


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_and_listens_on_loopback_only(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", service["image"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    linux = ON_LINUX[name]
    assert (linux["network_mode"], linux["ports"]) == ("host", None)
    listens = [*linux.get("command", []), *linux.get("environment", {}).values()]
    assert any("127.0.0.1" in one for one in listens)
    assert not any("0.0.0.0" in one for one in listens)


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there_and_read_only_and_data_has_a_volume(name: str) -> None:
    for source, target, mode in _mounts(SERVICES[name]):
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
            assert mode == "ro", source
        else:
            assert source in yaml.load((ROOT / "compose.yaml").read_text(), _Loader)["volumes"]
            assert target in {"/prometheus", "/alertmanager", "/var/lib/grafana"}


def test_the_second_file_changes_only_where_they_listen() -> None:
    for name in ("prometheus", "alertmanager"):
        before, after = SERVICES[name]["command"], ON_LINUX[name]["command"]
        assert [one.replace("=127.0.0.1:", "=0.0.0.0:") for one in after] == before


def test_the_names_in_the_provisioned_files_are_those_of_the_services() -> None:
    sources = yaml.safe_load((PROVISIONING / "grafana" / "datasources" / "peerwatch.yaml").read_text())["datasources"]
    urls = {urlsplit(source["url"]).hostname for source in sources}
    prometheus = yaml.safe_load((PROVISIONING / "prometheus" / "prometheus.yaml").read_text())
    [alertmanager] = prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert urls == {"prometheus", "alertmanager"}
    assert alertmanager == "alertmanager:9093"
    hosts = {one.partition(":")[0] for one in ON_LINUX["prometheus"]["extra_hosts"]}
    found = {urlsplit(job["http_sd_configs"][0]["url"]).hostname for job in prometheus["scrape_configs"]}
    assert hosts == found | {"alertmanager"}
    provider = yaml.safe_load((PROVISIONING / "grafana" / "dashboards" / "peerwatch.yaml").read_text())["providers"][0]
    assert provider["options"]["path"] in [target for _, target, _ in _mounts(SERVICES["grafana"])]
    assert sources[0]["jsonData"]["alertmanagerUid"] == sources[1]["uid"]
    assert sources[0]["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]


def test_alertmanager_takes_its_provisioned_file() -> None:
    path = PROVISIONING / "alertmanager" / "alertmanager.yaml"
    checked = subprocess.run([require("amtool"), "check-config", str(path)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
