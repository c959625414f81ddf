"""The Debian root that machines are made from: built once with mmdebstrap, and kept."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

SUITE = "bookworm"

# What the tests themselves use in the machine; what the package needs is read from the package.
PACKAGES = [
    "bash-completion",
    "curl",
    "dbus",
    "iproute2",
    "python3",
    "procps",
    "systemd",
    "systemd-sysv",
]

# Part of the key of the cache: to be raised when a root is built in another way.
RECIPE = 1


def cache_directory():
    return Path(os.environ.get("HOLDFAST_TEST_CACHE", "/var/cache/holdfast-tests"))


def dependencies(deb):
    """The names of the packages that `deb` depends on (of alternatives, the first), and the field as it stands."""
    field = subprocess.run(["dpkg-deb", "--field", deb, "Pre-Depends", "Depends"],
                           check=True, capture_output=True, text=True).stdout
    entries = [entry for line in field.splitlines() for entry in line.split(":", 1)[-1].split(",")]
    names = [re.match(r"\s*([a-z0-9.+-]+)", entry) for entry in entries]
    return sorted({match.group(1) for match in names if match}), field


def base_root(deb, progress=lambda text: None):
    """Builds, or finds, the root for `deb`. The package itself is not in it. Returns its path."""
    names, field = dependencies(deb)
    packages = sorted(set(PACKAGES) | set(names))
    mirror = os.environ.get("HOLDFAST_TEST_MIRROR")
    key = hashlib.sha256(repr((RECIPE, SUITE, mirror, packages, field)).encode()).hexdigest()[:16]
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"root-{key}"

    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if root.is_dir():
            return root
        progress(f"building a Debian root with {len(packages)} packages and what they need (once; kept in {root})")
        # Roots of earlier package lists would pile up.
        for old in cache.glob("root-*"):
            shutil.rmtree(old, ignore_errors=True)
        building = cache / f"building-{key}"
        shutil.rmtree(building, ignore_errors=True)
        command = [
            "mmdebstrap", "--quiet", "--mode=root", "--variant=apt", "--include=" + ",".join(packages),
            "--aptopt=Acquire::Languages \"none\"", "--aptopt=Acquire::Retries \"3\"",
            "--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
            # The journal on disk survives a machine that is killed.
            "--customize-hook=mkdir -p \"$1/var/log/journal\"",
            "--customize-hook=: > \"$1/etc/machine-id\"",
            SUITE, str(building),
        ]
        done = subprocess.run(command + ([mirror] if mirror else []), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            shutil.rmtree(building, ignore_errors=True)
            raise RuntimeError(f"mmdebstrap failed with status {done.returncode}:\n{done.stderr[-4000:]}")
        building.rename(root)
    return root
