"""Files for containers and Kubernetes, as far as they can be checked without either."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from anymodal.cli import serve
from anymodal.serving.cluster.applications import JOBS_ROUTE
from anymodal.serving.cluster.scale import Scales
from tests.support.paths import ROOT

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")


def instructions() -> Iterator[tuple[str, str]]:
    """Instructions of the Dockerfile, each with its arguments on one line."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            yield name, rest


def test_images_run_as_nobody_of_importance_and_hold_no_weights() -> None:
    stages: dict[str, list[tuple[str, str]]] = {}
    for name, rest in instructions():
        assert name in {"ARG", "FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "EXPOSE",
                        "ENTRYPOINT", "CMD"}, name  # fmt: skip
        if name == "FROM":
            stage = rest.rpartition(" AS ")[2]
            stages[stage] = []
        elif stages:
            stages[stage].append((name, rest))
    assert list(stages) == ["wheel", "base", "cpu", "cuda"]
    for target in ("cpu", "cuda"):
        names = [name for name, _ in stages[target]]
        assert ("USER", "1000") in stages[target] and "COPY" not in names
        assert names.index("USER") > max(i for i, name in enumerate(names) if name == "RUN")
        assert ("ENTRYPOINT", '["anymodal"]') in stages[target]
    copied = [rest for name, rest in stages["base"] if name == "COPY"]
    assert copied == ["constraints.txt /tmp/constraints.txt", "--from=wheel /wheels /tmp/wheels"]
    ignored = (ROOT / ".dockerignore").read_text("ascii").splitlines()
    weights = {path.relative_to(ROOT) for path in ROOT.glob("anymodal/**/*.safetensors")}
    assert weights, "or there is nothing to leave out"
    assert all(any(str(path).startswith(f"{line}/") for line in ignored) for path in weights)


@pytest.fixture
def service() -> Any:
    (service,) = yaml.safe_load_all((ROOT / "deploy" / "kuberay.yaml").read_text("utf-8"))
    assert (service["apiVersion"], service["kind"]) == ("ray.io/v1", "RayService")
    return service["spec"]


def test_pods_of_kuberay_fit_the_image_and_one_another(service: Any) -> None:
    cluster = service["rayClusterConfig"]
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    specs = [pod["template"]["spec"] for pod in pods]
    targets = re.findall(r"AS (\w+)", DOCKERFILE)
    for spec in specs:
        assert spec["securityContext"]["runAsNonRoot"] is True
        (container,) = spec["containers"]
        assert container["image"].partition(":")[2] in targets
        assert container["volumeMounts"] == specs[0]["containers"][0]["volumeMounts"]
        volumes = {volume["name"] for volume in spec["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    constraints = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert f"ray=={cluster['rayVersion']}" in constraints


def test_the_served_applications_are_those_of_the_command(service: Any) -> None:
    config = yaml.safe_load(service["serveConfigV2"])
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    applications = {each["name"]: each for each in config["applications"]}
    assert [each["route_prefix"] for each in applications.values()] == [None, "/", JOBS_ROUTE]
    for application in applications.values():
        module, name = application["import_path"].split(":")
        assert callable(getattr(importlib.import_module(module), name))
        args = parser.parse_args(application["args"]["options"])
        models = [each.partition("=")[0] for each in args.models]
        # By this name the API finds a model's replicas.
        assert all(applications[model]["args"]["model"] == model for model in models)
        assert Scales(args.scale).of("language").gpus == 1
        mounts = service["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"][0]
        paths = [mount["mountPath"] for mount in mounts["volumeMounts"]]
        assert [each.partition("=")[2] for each in args.models] == paths[:1]
        assert str(args.data) == paths[1]


def test_ray_reads_the_configuration(service: Any) -> None:
    schema = pytest.importorskip("ray.serve.schema")
    schema.ServeDeploySchema.model_validate(yaml.safe_load(service["serveConfigV2"]))
