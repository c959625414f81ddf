"""The package under test: built from this tree, once for each state of it."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import root

SOURCE = Path(__file__).resolve().parents[3]
_NOT_SOURCE = re.compile(r"(^|/)(__pycache__|\.pytest_cache)/|^(\.git|build[^/]*|obj-[^/]*)/")


def _source_files():
    listed = subprocess.run(["git", "-c", f"safe.directory={SOURCE}", "-C", SOURCE, "ls-files", "-z", "--cached",
                             "--others", "--exclude-standard"], capture_output=True)
    if listed.returncode == 0:
        names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    else:  # an unpacked archive
        names = [str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*")]
    return sorted(name for name in names
                  if not _NOT_SOURCE.search(name) and (SOURCE / name).is_file())


def build(progress=lambda text: None, check=False):
    """Builds the .deb, or finds the one that was built from the very same files. `check` runs the unit tests, too."""
    names = _source_files()
    digest = hashlib.sha256()
    for name in names:
        # What the tests are does not change the package.
        if not name.startswith("tests/") or name.endswith("meson.build"):
            digest.update(name.encode() + b"\0" + (SOURCE / name).read_bytes() + b"\0")
    kept = root.cache_directory() / f"package-{digest.hexdigest()[:16]}"
    if kept.is_dir():
        return next(kept.glob("holdfast_*.deb"))

    progress("building the package")
    with tempfile.TemporaryDirectory(prefix="holdfast-package-") as directory:
        tree = Path(directory) / "holdfast"
        for name in names:
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(SOURCE / name, target)
        environment = dict(os.environ, DEB_BUILD_OPTIONS="" if check else "nocheck")
        # Debian's tools are to be found before whatever else is installed under the same names.
        environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
        done = subprocess.run(["dpkg-buildpackage", "--build=binary", "--no-sign"], cwd=tree, env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise RuntimeError("dpkg-buildpackage failed:\n" + done.stdout[-6000:])
        cache = root.cache_directory()
        cache.mkdir(parents=True, exist_ok=True)
        for old in cache.glob("package-*"):
            shutil.rmtree(old, ignore_errors=True)
        kept.mkdir()
        for file in Path(directory).glob("*.*"):
            if file.is_file():
                shutil.move(file, kept)
    return next(kept.glob("holdfast_*.deb"))


def with_version(deb, version, directory, edit=lambda tree: None):
    """A copy of the package that says it is another version; `edit` may change its files first. Returns its path."""
    tree = Path(directory) / f"holdfast-{version}"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {version}", control.read_text()))
    edit(tree)
    result = Path(directory) / f"holdfast_{version}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, result], check=True, stdout=subprocess.DEVNULL)
    return result
