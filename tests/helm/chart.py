"""Renders the chart as people do, and finds things in what comes of it. Nothing here asserts."""

import base64
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import yaml

HERE = Path(__file__).parent
CHART = HERE.parent.parent / "helm"
WORK = HERE.parent.parent / "target" / "helm"
BINARY = Path(os.environ["TAGALONG_BINARY"])
IS_BLESSING = os.environ.get("BLESS") == "1"

# The oldest of `kubeVersion`, from before native sidecars; one from between; the newest that there are schemas of.
OLD, BETWEEN, NEWEST = KUBERNETES = ("1.25.0", "1.33.0", "1.37.0")

# What values/ has, and which chart it is for.
ALONE = ("minimal", "everything", "shared", "valkey", "addresses")
HOST = ("host", "host-everything", "host-without")

Object = dict[str, object]


def helm(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """What helm says; it has no cluster and no settings but those given."""
    home = WORK / "home"
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(home / "no-cluster")}
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, input=stdin, env=environment, timeout=60)


@cache
def host_chart() -> Path:
    """The host chart with this one, packaged, in its `charts`."""
    folder = WORK / "host"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "host", folder)
    done = helm("dependency", "update", folder)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return folder


def chart_of(case: str) -> Path:
    return host_chart() if case in HOST else CHART


def template(case: str, kubernetes: str = NEWEST, values: Object | None = None) -> subprocess.CompletedProcess[str]:
    """`helm template` of a case, with more values on top."""
    return templated(case, kubernetes, yaml.safe_dump(values or {}))


@cache
def templated(case: str, kubernetes: str, values: str) -> subprocess.CompletedProcess[str]:
    arguments = ["template", "shop", chart_of(case), "--namespace", "web", "--kube-version", kubernetes]
    arguments += ["--values", HERE / "values" / f"{case}.yaml", "--values", "-"]
    return helm(*arguments, stdin=values)


def rendered(case: str, kubernetes: str = NEWEST, values: Object | None = None) -> list[Object]:
    done = template(case, kubernetes, values)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return objects_of(done.stdout)


def objects_of(text: str) -> list[Object]:
    return [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]


def find(objects: list[Object], kind: str, name: str | None = None) -> Object:
    """The one object of a kind, and of a name."""
    found = [one for one in objects if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    if len(found) != 1:
        raise LookupError(f"{len(found)} objects are {kind} {name or ''}")
    return found[0]


def pod_with_tagalong(objects: list[Object]) -> Object:
    """The pod template in which it runs, alone or beside an app."""
    for one in objects:
        if one["kind"] == "Deployment" and container(one["spec"]["template"]) is not None:
            return one["spec"]["template"]
    raise LookupError("no pod has a container `tagalong`")


def container(pod: Object) -> Object | None:
    named = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    return next((one for one in named if one["name"] == "tagalong"), None)


def secret_value(objects: list[Object], name: str, key: str) -> str:
    """What a Secret holds: one of the chart's, or one that others have made, and that holds its own name."""
    for one in objects:
        if one["kind"] == "Secret" and one["metadata"]["name"] == name:
            return base64.b64decode(one["data"][key]).decode()
    return "redis://:password@redis:6379" if "redis" in f"{name}/{key}".lower() else f"{name}/{key}"


def environment(objects: list[Object], container: Object) -> dict[str, str]:
    """The environment of a container, as the kubelet makes it."""
    made = {}
    for one in container.get("env", []):
        reference = one.get("valueFrom", {}).get("secretKeyRef")
        made[one["name"]] = secret_value(objects, **reference) if reference else one["value"]
    return made


def mount(folder: Path, data: dict[str, str]) -> None:
    """Writes a ConfigMap as the kubelet does: a folder of its own for each version, and one link that is moved at once."""
    folder.mkdir(parents=True, exist_ok=True)
    version = folder / f"..{len(list(folder.iterdir()))}"
    version.mkdir()
    for name, text in data.items():
        (version / name).write_text(text)
    link = folder / "..data.new"
    link.symlink_to(version.name)
    link.rename(folder / "..data")
    for name in data:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for name in folder.iterdir():
        if name.is_symlink() and name.name != "..data" and name.name not in data:
            name.unlink()


def mount_all(root: Path, objects: list[Object], pod: Object) -> None:
    """Below `root`, what the container sees of ConfigMaps. Those of others have no file in them."""
    maps = {one["metadata"]["name"]: one.get("data", {}) for one in objects if one["kind"] == "ConfigMap"}
    volumes = {one["name"]: one["configMap"]["name"] for one in pod["spec"]["volumes"] if "configMap" in one}
    for one in container(pod)["volumeMounts"]:
        if one["name"] in volumes:
            mount(root / one["mountPath"].lstrip("/"), maps.get(volumes[one["name"]], {}))


def command(root: Path, container: Object) -> list[str]:
    """What the container runs, its files below `root`."""
    return [str(BINARY), *(f"{root}{one}" if one.startswith("/") else one for one in container["args"])]
