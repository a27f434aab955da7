"""The container image: built, and run as non-root on a read-only root.

The first stage of the Dockerfile builds Weir as `make build` does. Here it is left out, and the runtime stage gets the
binary under test; WEIR_IMAGE_FULL=1 builds all of it.
"""
import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import cluster
import harness
import network
from harness import eventually, request

SCRIPT = cluster.SCRIPTS / "image-test"
TOOLS = ("buildah", "podman", "crun", "mmdebstrap")
TAG = "weir:test"
PROXY, STATUS = 18000, 18100


def run(*arguments, timeout=900):
    done = subprocess.run([SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"image-test {' '.join(map(str, arguments))}: {(done.stdout + done.stderr)[-4000:]}"
    return done.stdout


def runtime_only(folder):
    """A folder with the Dockerfile's runtime stage and the binary under test."""
    text = (harness.ROOT / "Dockerfile").read_text()
    kept, count = re.subn(r"(?ms)^FROM \S+ AS build$.*?(?=^FROM )", "", text)
    assert count == 1
    kept, count = re.subn(r"COPY --from=build /src/build/release/weir", "COPY weir", kept)
    assert count == 1
    (folder / "Dockerfile").write_text(kept)
    shutil.copy(harness.ROOT / "LICENSE", folder)
    subprocess.run(["strip", "-o", folder / "weir", harness.BINARY], check=True)
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    missing = [t for t in TOOLS if not shutil.which(t)]
    if missing:
        assert not os.environ.get("WEIR_KUBE_REQUIRED"), f"there is no {', '.join(missing)}"
        pytest.skip(f"there is no {', '.join(missing)}: run scripts/setup image")
    if harness.SANITIZED:
        pytest.skip("sanitizers have libraries of their own")
    with network.outside():  # apt needs the machine's network
        run("base")
        whole = os.environ.get("WEIR_IMAGE_FULL")
        run("build", TAG, harness.ROOT if whole else runtime_only(tmp_path_factory.mktemp("image")), timeout=3600)
        yield TAG


def test_it_runs_as_nobody_in_particular(image):
    with network.outside():
        told = run("inspect", image)
    assert re.search(r"user +65532:65532", told) and re.search(r"entrypoint +\[weir\]", told), told
    size = int(re.search(r"size +(\d+)", told).group(1))
    assert size < 250e6, size


def test_it_starts_on_a_read_only_root_and_drains_on_sigterm(image):
    environment = {"WEIR_PROXY_LISTEN": f"127.0.0.1:{PROXY}", "WEIR_STATUS_LISTEN": f"127.0.0.1:{STATUS}",
                   "WEIR_ADMIN_LISTEN": "off", "WEIR_DATABASE": "off"}
    flags = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--name=weir-image-test"]
    for key, value in environment.items():
        flags += ["-e", f"{key}={value}"]
    with network.outside():
        process = subprocess.Popen([SCRIPT, "run", image, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            def ready():
                assert process.poll() is None, process.stderr.read()
                with contextlib.suppress(OSError):
                    return request(STATUS, path="/status/ready").status == 200
            eventually(ready, "ready", 60)
            assert request(PROXY, path="/").status == 404
            inside = weir_process(process.pid)
            status = Path(f"/proc/{inside}/status").read_text()
            assert "\nUid:\t65532\t65532" in status and "\nCapEff:\t0000000000000000" in status and "\nNoNewPrivs:\t1" in status
            mounts = Path(f"/proc/{inside}/mounts").read_text()
            assert re.search(r"^\S+ / \S+ ro[, ]", mounts, re.M), mounts
            os.kill(inside, 15)
            assert process.wait(30) == 0, process.stderr.read()
        finally:
            if process.poll() is None:
                process.kill()
            process.stderr.close()


def weir_process(above):
    """The number of the process "weir" below this one, or below what podman left behind for it."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "comm").read_text().strip() == "weir" and \
                    f"WEIR_STATUS_LISTEN=127.0.0.1:{STATUS}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                return int(entry.name)
    raise AssertionError(f"no weir below {above}")
