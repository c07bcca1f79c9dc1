"""The servers that are compared, and the app behind them: started on free ports of loopback, pinned, and ended by their own ids."""

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import needs

SERVER_CORE = 0
CLIENT_CORE = 1


@dataclasses.dataclass
class Server:
    """A server that runs."""

    name: str
    pid: int
    port: int
    #: A command that prints its version.
    version: list
    #: Its other ports, by scheme: `h2c`, `https`; what it has not, it does not speak.
    doors: dict = dataclasses.field(default_factory=dict)
    #: Where it stores in files.
    folder: pathlib.Path = None
    #: Its log, where that is kept.
    log: pathlib.Path = None

    def url(self, path, scheme="http"):
        return f"{'https' if scheme == 'https' else 'http'}://127.0.0.1:{self.doors.get(scheme, self.port)}{path}"

    def calls(self):
        """How many cacheable answers the app has given; only the app knows."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/calls", timeout=5) as answer:
            return int(answer.read())


def origin(binary):
    """The app: fast, cacheable for an hour, three tags; on the client's core, and idle while hits are measured."""
    port = free_port()
    return start("origin", [binary, "origin", "--listen", f"127.0.0.1:{port}"], port, [], CLIENT_CORE)


def reference(binary, app=None):
    """Bare hyper with prepared answers; in front of an app hyper's client asks that for what no cache keeps."""
    port = free_port()
    command = [binary, "reference", "--listen", f"127.0.0.1:{port}"]
    if app:
        command += ["--app", f"127.0.0.1:{app.port}"]
    return start("hyper reference", command, port, [], SERVER_CORE)


@contextlib.contextmanager
def nginx(template, app, more="", certificate=None):
    """nginx `proxy_cache` with a prefix of its own; `more` goes into the location. With a certificate it speaks TLS and h2c, too."""
    binary, port = needs.find("nginx"), free_port()
    doors = {"h2c": free_port(), "https": free_port()} if certificate else {}
    with tempfile.TemporaryDirectory(prefix="peers-nginx-") as prefix:
        words = {"PREFIX": prefix, "ORIGIN": app.port, "PORT": port, "MORE": more}
        words["DOORS"] = nginx_doors(doors, certificate)
        # Started by root its worker would change to a user that cannot enter the prefix.
        words["USER"] = "user root;" if os.geteuid() == 0 else ""
        text = template.read_text()
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        config = pathlib.Path(prefix, "nginx.conf")
        config.write_text(text)
        command = [binary, "-p", prefix, "-c", str(config), "-e", f"{prefix}/error.log"]
        with start("nginx proxy_cache", command, port, [binary, "-v"], SERVER_CORE) as server:
            server.doors.update(doors)
            server.folder = pathlib.Path(prefix, "cache")
            yield server


def nginx_doors(doors, certificate):
    """Its directives for TLS and h2c; it speaks HTTP/2 without TLS on a port that is for nothing else."""
    if not certificate:
        return ""
    listen = f"listen 127.0.0.1:{doors['h2c']} http2; listen 127.0.0.1:{doors['https']} ssl;"
    return f"{listen} ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};"


@contextlib.contextmanager
def varnish(template, app, storage="256m", parameters=()):
    """Varnish with its malloc store, and h2c; everything else as it comes, but for `parameters`, each as `name=value`."""
    binary, port = needs.find("varnishd"), free_port()
    with tempfile.TemporaryDirectory(prefix="peers-varnish-") as folder:
        program = pathlib.Path(folder, "default.vcl")
        program.write_text(template.read_text().replace("@ORIGIN@", str(app.port)))
        # Without a jail: its user could not enter the folder.
        own = ["-j", "none", "-n", f"{folder}/work", "-T", "none"]
        own += ["-p", "feature=+http2", "-s", f"malloc,{storage}"]
        own += [word for parameter in parameters for word in ("-p", parameter)]
        command = [binary, "-F", *own, "-a", f"127.0.0.1:{port}", "-f", str(program)]
        with start("Varnish", command, port, [binary, "-V"], SERVER_CORE) as server:
            server.doors["h2c"] = port
            yield server


@contextlib.contextmanager
def tagalong(command, app, settings=None, rules=None, certificate=None, name="Tagalong", log=None):
    """The product on a free port, with defaults but for `settings` and `rules`, both as in its files; with a certificate TLS, too.

    `command`: the program, or a whole command line. `log`: a file for its log.
    """
    port = free_port()
    doors, listen = {"h2c": port}, [f"127.0.0.1:{port}"]
    if certificate:
        doors["https"] = free_port()
        files = {"cert_file": str(certificate.chain), "key_file": str(certificate.key)}
        listen.append({"addr": f"127.0.0.1:{doors['https']}", "tls": files})
    written = {"listen": listen, **(settings or {})}
    written["upstream"] = {"url": f"http://127.0.0.1:{app.port}", **written.get("upstream", {})}
    with tempfile.TemporaryDirectory(prefix="peers-tagalong-") as folder:
        config = pathlib.Path(folder, "tagalong.yaml")
        config.write_text(json.dumps(written))
        if rules:
            pathlib.Path(folder, "rules").mkdir()
            pathlib.Path(folder, "rules", "bench.yaml").write_text(json.dumps({"rules": rules}))
        words = {"origin": app.port, "port": port, "config": config}
        line = command if "{" in command else shlex.quote(command) + " serve --config {config}"
        parts = [part.format(**words) for part in shlex.split(line)]
        with start(name, parts, port, [parts[0], "--version"], SERVER_CORE, log) as server:
            server.doors.update(doors)
            yield server


@dataclasses.dataclass
class Certificate:
    """Files in PEM, in a folder of their own."""

    chain: pathlib.Path
    key: pathlib.Path


@contextlib.contextmanager
def certificate():
    """One that we made ourselves, for all servers; ECDSA on P-256."""
    with tempfile.TemporaryDirectory(prefix="peers-tls-") as folder:
        made = Certificate(pathlib.Path(folder, "chain.pem"), pathlib.Path(folder, "key.pem"))
        kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        command = ["openssl", "req", *kind, *names, "-keyout", str(made.key), "-out", str(made.chain)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        yield made


@contextlib.contextmanager
def redis():
    """A Redis that saves nothing, on the clients' core."""
    binary, port = needs.find("redis-server"), free_port()
    with tempfile.TemporaryDirectory(prefix="peers-redis-") as folder:
        command = [binary, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", folder]
        with start("Redis", command, port, [binary, "--version"], CLIENT_CORE) as server:
            yield server


@contextlib.contextmanager
def start(name, command, port, version, core, log=None):
    """Run a server pinned to a core until the block ends; only what was started here is ended, by its id."""
    with contextlib.ExitStack() as stack:
        said = stack.enter_context(log.open("wb")) if log else None
        # A session of its own, so that ctrl-C reaches only us, and we end it in order.
        process = subprocess.Popen(["taskset", "-c", str(core), *command], start_new_session=True, stdout=sys.stderr, stderr=said)
    try:
        wait_for(name, process, port)
        yield Server(name, process.pid, port, version, log=log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(name, process, port):
    """Return when the port accepts."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.001)
    sys.exit(f"{name} does not answer on port {port}")


def free_port():
    """A port of loopback nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def state():
    """Which state of the sources is measured: their commit."""
    command = ["git", "-C", str(pathlib.Path(__file__).resolve().parent), "describe", "--always", "--dirty"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.strip() or "of unknown state"


def versions(running, *tools):
    """What ran, a line each: the machine with its system, servers that know their version, tools, the compiler."""
    cpus = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ")[1] for line in cpus if line.startswith("model name")), platform.machine())
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "") if sys.version_info >= (3, 10) else ""
    release = platform.release().partition("-")[0]
    lines = [f"{model}, {os.cpu_count()} cores, {platform.system()} {release}, {system}"]
    asked = [server.version for server in running if server.version]
    for command in [*asked, *tools, ["rustc", "--version"]]:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        # wrk says its version and fails.
        known = done.returncode == 0 or pathlib.Path(command[0]).name == "wrk"
        lines.append(done.stdout.strip().splitlines()[0] if known else f"{command[0]}, no version")
    return lines
