"""deploy/kubernetes: rendered by kubectl's kustomize, held against the published schemas, and without any privilege."""

import importlib
import importlib.util
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.config import load
from alerts.export.prometheus import render_rules
from exporter.config import parse_arguments
from fleet.processes.pod import SIDECAR_PORT, TRAINER_PORT
from grafana.kubernetes import MAX_APPLIED_BYTES
from tests.programs import go_without, require

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
# What the Prometheus operator's two kinds may have, of what is used here:
# https://github.com/prometheus-operator/prometheus-operator/blob/main/Documentation/api-reference/api.md
OPERATOR_KEYS = {
    "PodMonitor": {"selector", "podMetricsEndpoints"},
    "PrometheusRule": {"groups"},
}
ALERTS = FOLDER / "settings" / "alerts.yaml"
RULE_KEYS = {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}

Object = dict[str, Any]


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    """All objects, as `kubectl apply -k` would send them."""
    command = [require("kubectl"), "kustomize", str(FOLDER)]
    rendered = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert rendered.returncode == 0, rendered.stderr
    return list(yaml.safe_load_all(rendered.stdout))


def _of(objects: list[Object], kind: str) -> list[Object]:
    return [one for one in objects if one["kind"] == kind]


def _pods(objects: list[Object]) -> Iterator[Object]:
    for one in (*_of(objects, "StatefulSet"), *_of(objects, "Deployment")):
        yield one["spec"]["template"]["spec"]


def _containers(objects: list[Object]) -> Iterator[Object]:
    for pod in _pods(objects):
        yield from (*pod.get("initContainers", ()), *pod["containers"])


def _container(objects: list[Object], name: str) -> Object:
    return next(one for one in _containers(objects) if one["name"] == name)


def test_every_file_is_in_the_kustomization() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == files


@pytest.mark.parametrize("version", ["1.28", "1.37"])
def test_every_object_is_what_the_published_schema_of_its_kind_says(objects: list[Object], version: str) -> None:
    if importlib.util.find_spec("kubernetes_validate") is None:
        go_without("needs the package kubernetes-validate")
    validator = importlib.import_module("kubernetes_validate")
    for one in objects:
        if one["kind"] not in OPERATOR_KEYS:
            validator.validate(one, version, strict=True)
    wrong = {**_of(objects, "StatefulSet")[0], "spec": {"replica": 1}}
    with pytest.raises(validator.ValidationError):
        validator.validate(wrong, version, strict=True)


def test_the_operators_kinds_hold_the_same_rules_and_find_the_sidecars(objects: list[Object]) -> None:
    (rules,), (monitor,) = _of(objects, "PrometheusRule"), _of(objects, "PodMonitor")
    for one in (rules, monitor):
        assert one["spec"].keys() == OPERATOR_KEYS[one["kind"]]
    shipped = yaml.safe_load(render_rules(load(ALERTS).rules))
    assert rules["spec"] == shipped
    assert all(rule.keys() <= RULE_KEYS for group in rules["spec"]["groups"] for rule in group["rules"])
    labels = _of(objects, "StatefulSet")[0]["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    ports = {port["name"] for port in _container(objects, "sidecar")["ports"]}
    assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} <= ports
    targets = {one["targetLabel"] for one in monitor["spec"]["podMetricsEndpoints"][0]["relabelings"]}
    assert targets == {"peer", "fleet"}


def test_the_dashboards_are_those_of_the_folder_and_small_enough_to_be_applied(objects: list[Object]) -> None:
    found = {}
    for one in _of(objects, "ConfigMap"):
        assert len(json.dumps(one)) < MAX_APPLIED_BYTES
        if one["metadata"].get("labels", {}).get("grafana_dashboard") == "1":
            found |= {name: json.loads(text) for name, text in one["data"].items()}
    shipped = {path.name: json.loads(path.read_text()) for path in (ROOT / "grafana" / "dashboards").glob("*.json")}
    assert found == shipped


def test_no_container_has_a_privilege_or_writes_to_its_image(objects: list[Object]) -> None:
    assert len(list(_containers(objects))) == 4
    for pod in _pods(objects):
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] >= 10000
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert not any("hostPath" in volume for volume in pod["volumes"])
    for one in _containers(objects):
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert one["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in one["resources"]["limits"]
        assert one["image"].count(":") == 1
        assert not one["image"].endswith(":latest")
    (namespace,) = _of(objects, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_sidecar_sees_the_trainers_processes_and_its_folder(objects: list[Object]) -> None:
    (trainer,) = _of(objects, "StatefulSet")
    pod = trainer["spec"]["template"]["spec"]
    assert pod["shareProcessNamespace"] is True
    mounts = {one["name"]: {mount["mountPath"] for mount in one["volumeMounts"]} for one in pod["containers"]}
    assert "/peer" in mounts["trainer"] & mounts["sidecar"]
    assert {"peer"} == {claim["metadata"]["name"] for claim in trainer["spec"]["volumeClaimTemplates"]}


def test_commands_and_ports_are_those_of_the_programs(objects: list[Object], tmp_path: Path) -> None:
    (tmp_path / "machine.json").write_text('{"machine": "trainer-0", "peers": {"trainer-0": 9700}}')
    module, *options = _container(objects, "sidecar")["args"][1:]
    config = parse_arguments([option.replace("/peer", str(tmp_path)) for option in options])
    assert (module, config.port) == ("exporter", SIDECAR_PORT)
    (service,) = _of(objects, "Service")
    assert {port["port"] for port in service["spec"]["ports"]} == {SIDECAR_PORT, TRAINER_PORT}
    for name in ("trainer", "settings", "watcher"):
        assert importlib.util.find_spec(_container(objects, name)["args"][1]) is not None
    for one in (_container(objects, "sidecar"), _container(objects, "watcher")):
        assert {"livenessProbe", "readinessProbe"} <= one.keys()


def test_the_watchers_settings_are_valid_and_name_every_replica(objects: list[Object]) -> None:
    config = load(ALERTS)
    (trainer,) = _of(objects, "StatefulSet")
    service = trainer["spec"]["serviceName"]
    expected = {
        f"trainer-{number}": f"http://trainer-{number}.{service}:{SIDECAR_PORT}"
        for number in range(trainer["spec"]["replicas"])
    }
    assert {machine.name: machine.url for machine in config.machines} == expected
    mounts = {mount["mountPath"] for mount in _container(objects, "watcher")["volumeMounts"]}
    assert str(config.state_dir) in mounts
