"""Runs the layers of tests for tests/run: builds what each needs, counts what passed, says why something was skipped."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from concurrent import futures
import xml.etree.ElementTree as ElementTree
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
BUILD = Path(os.environ.get("HOLDFAST_BUILD_ROOT", SOURCE / "build"))

# The ways to build: what each is for, and how meson is told.
BUILDS = {
    "normal": ["-Dwerror=true"],
    "asan": ["-Db_sanitize=address,undefined", "-Db_lundef=false"],
    "tsan": ["-Db_sanitize=thread", "-Db_lundef=false"],
    "clang": ["-Dwerror=true"],
}
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1",
    "LSAN_OPTIONS": f"suppressions={SOURCE}/tests/lsan.supp:print_suppressions=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


class Failure(Exception):
    pass


class Results:
    def __init__(self):
        self.passed = self.failed = 0
        self.skipped = []  # (what, why)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def say(text):
    print(text, flush=True)


def run(command, timeout, check=True, environment=None, echo=False):
    """Runs a command in the source folder without input. With `echo` its output is shown as it comes; otherwise only
    when it fails."""
    process = subprocess.run(
        [str(word) for word in command], cwd=SOURCE, stdin=subprocess.DEVNULL, timeout=timeout,
        env={**os.environ, **ENVIRONMENT, **(environment or {})}, text=True, errors="replace",
        stdout=None if echo else subprocess.PIPE, stderr=None if echo else subprocess.STDOUT)
    if check and process.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}: exit status {process.returncode}\n{process.stdout or ''}")
    return process


def without_address_randomisation():
    """A prefix for sanitized programs: those of Debian 12's compilers cannot live with as much of it as newer kernels
    do."""
    prefix = ["setarch", "--addr-no-randomize"]
    return prefix if run([*prefix, "true"], 10, check=False).returncode == 0 else []


# Under valgrind; an error is an exit status that nobody expects, and a definite leak is an error.
VALGRIND = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite",
            "--show-leak-kinds=definite", "--trace-children=yes", "--trace-children-skip=*/python3*",
            "--num-callers=20", "--vgdb=no",
            f"--suppressions={SOURCE}/tests/valgrind.supp"]
# Of the system tests, what goes through most of the code in the least time: what no client should send, and HTTP at its
# edges. `tests/run valgrind-system` has the rest.
VALGRIND_TESTS = ["test_whole.py", "test_framing.py"]


def built(name):
    """Builds one way, once; returns its folder."""
    with built.lock:  # one after the other: whoever waits for the first is not held up by the others
        return build(name)


def build(name):
    directory = BUILD / name
    if name not in built.done:
        options = [*BUILDS[name], "-Dtests=enabled", "-Dhooks=true"]
        environment = {"CC": "clang" if name == "clang" else "gcc"}
        if not (directory / "build.ninja").is_file():
            run(["meson", "setup", directory, SOURCE, *options], 120, environment=environment)
        else:
            run(["meson", "configure", directory, *options], 120)
        # With the time that tests leave.
        run(["nice", "ninja", "-C", directory], 900)
        built.done.add(name)
    return directory


built.done = set()
built.lock = threading.Lock()


def junit(path):
    """Counts the tests of a JUnit report, and tells the failed ones."""
    results = Results()
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname', '')}.{case.get('name')}".strip(".")
        if case.find("skipped") is not None:
            results.skipped.append((name, case.find("skipped").get("message") or "no reason given"))
        elif case.find("failure") is not None or case.find("error") is not None:
            results.failed += 1
        else:
            results.passed += 1
    return results


def meson_tests(name, suite, wrapper=(), patience=10):
    directory = built(name)
    wrapper = wrapper or (without_address_randomisation() if name in ("asan", "tsan") else [])
    for log in directory.glob("meson-logs/testlog*.json"):
        log.unlink()
    done = run(["meson", "test", "-C", directory, "--no-rebuild", "--print-errorlogs", "--suite", suite,
                "--timeout-multiplier", patience, *(["--wrapper", " ".join(wrapper)] if wrapper else [])], 900,
               check=False)
    results = Results()
    # The name of the log has that of the wrapper in it.
    logs = [log.read_text() for log in directory.glob("meson-logs/testlog*.json")]
    for test in map(json.loads, "".join(logs).splitlines()):
        if test["result"] == "SKIP":
            results.skipped.append((test["name"], "by its own account"))
        elif test["result"] in ("OK", "EXPECTEDFAIL"):
            results.passed += 1
        else:
            results.failed += 1
    if done.returncode != 0:
        say(done.stdout)
        results.failed = max(results.failed, 1)
    return results


def pytest(directory, build, *arguments, environment=None, wrapper=(), timeout=900, processes=1, files=()):
    tests = [SOURCE / "tests" / directory / file for file in files] or [SOURCE / "tests" / directory]
    report = BUILD / f"{directory}-{Path(build).name}.xml"
    report.unlink(missing_ok=True)
    done = run([*wrapper, "/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short",
                f"--junit-xml={report}", *(["-n", processes, "--dist", "loadfile"] if processes > 1 else []),
                *tests, *arguments], timeout, check=False,
               environment={"HOLDFAST_BUILD": str(build), "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})})
    if not report.exists():
        raise Failure(done.stdout)
    results = junit(report)
    if done.returncode not in (0, 5):  # 5: no tests
        say(done.stdout)
        results.failed = max(results.failed, 1)
        failed = failed_tests(report)
        if 0 < len(failed) == results.failed <= FEW and not arguments:
            return once_more(results, failed, build, environment, wrapper, timeout)
    return results


def under_valgrind(files=(), timeout=900):
    return pytest("system", built("normal"), files=files, timeout=timeout, processes=3, environment={
        "HOLDFAST_UNDER": shlex.join(VALGRIND), "HOLDFAST_PATIENCE": "6", "HOLDFAST_FUZZ_INPUTS": "2000"})


# So many failures of hundreds of tests may be the neighbours': a shared machine stalls a process for seconds.
FEW = 4


def failed_tests(report):
    cases = [case for case in ElementTree.parse(report).iter("testcase")
             if case.find("failure") is not None or case.find("error") is not None]
    return [f"{case.get('classname').replace('.', '/')}.py::{case.get('name')}" for case in cases]


def once_more(results, failed, build, environment, wrapper, timeout):
    """A few tests that failed, alone. What passes now is counted as passed, and said to have failed first."""
    done = run([*wrapper, "/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", *failed],
               timeout, check=False,
               environment={"HOLDFAST_BUILD": str(build), "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})})
    if done.returncode != 0:
        say(done.stdout)
        return results
    for name in failed:
        say(f"UNSTEADY: {name} failed once, and passed when it was run again")
    results.passed += results.failed
    results.failed = 0
    return results


def package():
    """The .deb; dpkg-buildpackage runs the unit tests on the way."""
    sys.path.insert(0, str(SOURCE / "tests/machine"))
    from harness import package as harness
    with package.lock:
        return harness.build(check=True)


package.lock = threading.Lock()


def lint():
    done = run([SOURCE / "tests/lint/run"], 600, check=False,
               environment={"HOLDFAST_DEB": str(package()), "HOLDFAST_BUILD": str(built("normal"))})
    results = Results()
    for line in done.stdout.splitlines():
        if match := re.match(r"(ok|skip|FAIL)  +([\w-]+)(?:: (.*))?$", line):
            if match[1] == "skip":
                results.skipped.append((match[2], match[3]))
            elif match[1] == "ok":
                results.passed += 1
            else:
                results.failed += 1
    if done.returncode != 0:
        say(done.stdout)
        results.failed = max(results.failed, 1)
    return results


def one(act):
    """Counts something that either succeeds or raises as one test."""
    act()
    results = Results()
    results.passed = 1
    return results


# The layers: name, what it shows, and its parts, each a name and what to call.
LAYERS = {
    "unit": ("unit tests, with both compilers and with sanitizers",
             [(name, lambda name=name: meson_tests(name, "unit")) for name in BUILDS]),
    "fuzz": ("the corpus of each fuzz target, replayed under the sanitizers",
             [("asan", lambda: meson_tests("asan", "fuzz"))]),
    "system": ("the programs as they are, without systemd",
               [(name, lambda name=name: pytest("system", built(name), processes=3,
                                                     wrapper=without_address_randomisation()))
                for name in ("normal", "asan", "tsan")]),
    "valgrind": ("unit tests, and the most telling system tests, under valgrind",
                 [("unit", lambda: meson_tests("normal", "unit", VALGRIND, patience=20)),
                  ("system", lambda: under_valgrind(VALGRIND_TESTS))]),
    "valgrind-system": ("all system tests under valgrind, which takes three quarters of an hour; only when asked for",
                        [("all", lambda: under_valgrind(timeout=7200))]),
    "package": ("the Debian package builds, and runs its unit tests",
                [("dpkg-buildpackage", lambda: one(package))]),
    "machine": ("the package on a booted Debian with its real systemd",
                [("nspawn", lambda: pytest("machine", built("normal"), processes=2, environment={
                    "HOLDFAST_DEB": str(package()), "HOLDFAST_LOSS": str(built("normal") / "tests/tools/loss")}))]),
    "lint": ("the tree and the package keep to their rules",
             [("checks", lint)]),
    "bench": ("the benchmark works; its figures mean nothing here",
              [("smoke", lambda: one(lambda: run(
                  ["/usr/bin/python3", SOURCE / "tests/bench/run", "--smoke",
                   "--build", built("normal")], 300))),
               ("soak", lambda: one(lambda: run(
                  ["/usr/bin/python3", SOURCE / "tests/bench/soak", "--smoke",
                   "--build", built("normal")], 300)))]),
}


def parse():
    listing = "\n".join(f"  {name:17}{what}" for name, (what, _) in LAYERS.items())
    parser = argparse.ArgumentParser(prog="tests/run", formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description="Builds everything and runs the tests.",
                                     epilog="layers:\n" + listing)
    parser.add_argument("layer", nargs="*", metavar="LAYER", help="only these [all but those that say otherwise]")
    options = parser.parse_args()
    for name in options.layer:
        if name not in LAYERS:
            parser.error(f"there is no layer '{name}'; accepted: {', '.join(LAYERS)}")
    return options.layer


ON_REQUEST = {"valgrind-system"}

# Two chains of layers that run side by side: what mostly waits, and is awaited by clocks; and what mostly computes, with
# the time that the first leaves.
CHAINS = (("system", "valgrind", "valgrind-system", "machine", "bench"), ("unit", "fuzz", "package", "lint"))
# The parts of these mostly wait for each other's time, too.
SIDE_BY_SIDE = {"system": ("normal", "asan", "tsan"), "valgrind": ("system", "unit")}


def measure(name, part, act):
    """Runs a part of a layer; its results, and the line that tells of them."""
    start = time.monotonic()
    try:
        results = act()
    except (Failure, RuntimeError, OSError, subprocess.SubprocessError, ElementTree.ParseError) as error:
        results = Results()
        results.failed = 1
        say(str(error))
    for what, why in results.skipped:
        say(f"skipped: {name}: {what}: {why}")
    line = f"{name + ' ' + part:26}{results.passed:5} passed {results.failed:4} failed"
    line += f" {len(results.skipped):4} skipped {time.monotonic() - start:7.1f} s"
    say(line)
    return results, line


def run_layer(name):
    parts = dict(LAYERS[name][1])
    if name not in SIDE_BY_SIDE:
        return [measure(name, part, act) for part, act in parts.items()]
    with futures.ThreadPoolExecutor(len(parts)) as pool:
        running = [pool.submit(measure, name, part, parts[part]) for part in SIDE_BY_SIDE[name]]
        return [one.result() for one in running]


def run_chain(names, niceness):
    os.nice(niceness)  # of this thread, and of what it starts
    return {name: run_layer(name) for name in names}


def main():
    chosen = parse()
    total = Results()
    lines = []
    began = time.monotonic()
    BUILD.mkdir(parents=True, exist_ok=True)
    chosen = chosen or [name for name in LAYERS if name not in ON_REQUEST]
    with futures.ThreadPoolExecutor(len(CHAINS)) as pool:
        running = [pool.submit(run_chain, [name for name in chain if name in chosen], niceness)
                   for chain, niceness in zip(CHAINS, (0, 10))]
        done = {name: outcome for chain in running for name, outcome in chain.result().items()}
    for name in LAYERS:
        for results, line in done.get(name, ()):
            lines.append(line)
            total.add(results)
    say("")
    say("\n".join(lines))
    say(f"{len(total.skipped)} skipped, {time.monotonic() - began:.0f} s")
    say(f"{total.passed} passed, {total.failed} failed")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
