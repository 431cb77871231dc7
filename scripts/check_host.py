#!/usr/bin/env python3
"""Checks that the library leaves its host alone: whatever the environment, the limits and the other libraries of a process
are, it gets an answer or a status, and its exit code when it ends while the library computes.

    check_host.py [--model MODEL] [--runs N] PREFIX [PART...]

PREFIX is where libxverse is installed (with PC_RPATH=1); N is how often each kind of exit is tried. The parts are

    needs      which libraries libxverse.so and the tool need, and what a process has of libomp and OpenBLAS
    table      settings of OpenMP, limits and companions by outcome
    threads    how many compute threads there are where threads of the host are bound to CPUs
    floats     hosts with another floating-point environment
    exits      C programs that end while the library computes
    python     Python programs that end, or are interrupted, while the library computes
    saves      programs that are killed while they save a session
"""

import argparse
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "Tests/CAPITests/c"
TEXT = "Once upon a time"
# Far more than anything takes, on a machine that is busy with other things too.
PATIENCE = 120
MIB = 1 << 20


class Failure(Exception):
    pass


class Checker:
    def __init__(self, arguments, work):
        self.prefix = Path(arguments.prefix).resolve()
        self.model = str(Path(arguments.model).resolve())
        self.runs, self.work = arguments.runs, Path(work)
        self.tool, self.library = self.prefix / "bin/xverse", self.prefix / "lib/libxverse.so"
        # What the machine's owner has set is not what is tried.
        odd = re.compile(r"(OMP|KMP|GOMP|LIBOMP|MKL|OPENBLAS|XVERSE)_")
        self.environment = {key: value for key, value in os.environ.items() if not odd.match(key)}
        self.failures = []

    def say(self, text):
        print(f"check-host: {text}", flush=True)

    def fail(self, text):
        self.failures.append(text)
        self.say(f"FAILED: {text}")

    def run(self, command, environment=None, limits=None, **others):
        """Runs a program; a limit is the number of RLIMIT_* and its soft value."""

        def set_limits():
            for which, value in (limits or {}).items():
                hard = resource.getrlimit(which)[1]
                resource.setrlimit(which, (value if hard < 0 else min(value, hard), hard))

        return subprocess.run(
            [str(word) for word in command], check=False, env=self.environment | (environment or {}), preexec_fn=set_limits,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, **others,
        )  # fmt: skip

    def compiled(self, name, *flags, compiler=None, output=None):
        program = self.work / (output or name)
        command = [compiler or os.environ.get("CC", "cc"), "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"]
        command += [f"-I{self.prefix}/include", str(PROGRAMS / f"{name}.c"), "-o", str(program), f"-L{self.prefix}/lib"]
        command += ["-lxverse", f"-Wl,-rpath,{self.prefix}/lib", "-lpthread", "-lm", "-ldl", *flags]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)}\n{done.stderr}")
        return program

    def all(self, function, items):
        """Two at a time: on more processors, the machine is not busier than two programs make it."""
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(function, items))

    # ---- needs ----

    def needs(self):
        for file in (self.library, self.tool):
            dynamic = subprocess.run(["readelf", "-d", str(file)], capture_output=True, text=True, check=True).stdout
            needed = sorted(re.findall(r"NEEDED.*\[(.*)\]", dynamic))
            self.say(f"{file.name} needs {' '.join(needed)}")
            if any("omp" in name or "blas" in name for name in needed):
                self.fail(f"{file.name} brings OpenMP or BLAS into every process")
        program = self.work / "state.py"
        program.write_text(STATE)
        for options, allowed in (
            ({"threads": 1, "threading": "auto"}, set()), ({"threads": 3, "threading": "pthread"}, set()),
            ({"threads": 3, "threading": "openmp"}, {"libomp", "registered"}),
        ):  # fmt: skip
            words = [f"{key}={value}" for key, value in options.items()]
            done = self.run([sys.executable, program, self.model, *words], self.python_environment())
            found = done.stdout.decode().split()
            self.say(f"a process with {' '.join(words)}: {' '.join(found)}")
            if done.returncode != 0:
                self.fail(done.stderr.decode())
            elif set(found[1:]) != allowed:
                self.fail(f"with {words} a process has {found[1:]}, expected {allowed or 'nothing'}")

    def python_environment(self):
        return {
            "PYTHONPATH": str(ROOT / "bindings/python/src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "XVERSE_LIBRARY": str(self.library),
        }

    # ---- table ----

    def answer(self):
        done = self.run([self.tool, "generate", self.model, TEXT, "--greedy", "--max-new-tokens", "8"])
        if done.returncode != 0 or not done.stdout:
            raise Failure(done.stderr.decode())
        return done.stdout

    def table(self):
        expected = self.answer()
        rows = [*self.settings(), *self.limits(), *self.companions()]
        outcomes = self.all(lambda row: self.outcome(row, expected), rows)
        for row, outcome in zip(rows, outcomes, strict=True):
            self.say(f"{row['name']:<44} {outcome}")
        self.say(f"{len(rows)} rows")
        if len(rows) < 60:
            self.fail(f"the table has {len(rows)} rows only")

    def outcome(self, row, expected):
        command = row.get("command")
        if command is None:
            command = [self.tool, "generate", self.model, TEXT, "--greedy", "--max-new-tokens", "8"]
        environment = {"XVERSE_LOG": "info", "XVERSE_NUM_THREADS": "3"} | row.get("environment", {})
        try:
            done = self.run(command, environment, row.get("limits"))
        except subprocess.TimeoutExpired:
            self.fail(f"{row['name']}: no end")
            return "hung"
        log = done.stderr.decode(errors="replace")
        team = re.search(r"by (OpenMP|pthreads) \((.*)\)", log)
        spoken = team.expand(r"\1: \2") if team else "no team"
        if done.returncode == 0 and done.stdout.strip() in (expected.strip(), row.get("answer", expected).strip()):
            if row.get("team", team and team[1]) != (team and team[1]):
                self.fail(f"{row['name']}: {spoken}, expected {row['team']}")
            return f"answer ({spoken})"
        message = log.strip().splitlines()[-1] if log.strip() else ""
        if done.returncode == 1 and row.get("may_fail") and message.startswith(row.get("says", "xverse: ")):
            return f"status ({message[:100]})"
        self.fail(f"{row['name']}: exit {done.returncode}, {message[:300]}")
        return f"exit {done.returncode}"

    def settings(self):
        values = {
            "OMP_NUM_THREADS": [
                "",
                "500m",
                "auto",
                "0",
                "-1",
                "2,2",
                "1.5",
                "99999999999",
                "99999999999999999999999",
                " ",
            ],
            "OMP_STACKSIZE": ["", "64k", "1", "100G", "8M", "many"],
            "KMP_STACKSIZE": ["1", "16k", "4g", "99999999999g"],
            "GOMP_STACKSIZE": ["1", "99999999999"],
            "OMP_THREAD_LIMIT": ["1", "0", "lots"],
            "OMP_DYNAMIC": ["true", "maybe"],
            "OMP_PROC_BIND": ["close", "nowhere"],
            "OMP_PLACES": ["cores", "{0}", "{99}", "{"],
            "OMP_SCHEDULE": ["static,0", "odd"],
            "OMP_WAIT_POLICY": ["active", "asleep"],
            "OMP_DISPLAY_ENV": ["true"],
            "OMP_NESTED": ["true"],
            "OMP_MAX_ACTIVE_LEVELS": ["0"],
            "OMP_CANCELLATION": ["true"],
            "OMP_TOOL_LIBRARIES": ["/nowhere/libtool.so"],
            "KMP_AFFINITY": ["granularity=fine,compact", "disabled", "explicit"],
            "GOMP_CPU_AFFINITY": ["0", "99"],
            "KMP_BLOCKTIME": ["infinite", "-5"],
            "KMP_HW_SUBSET": ["1c", "99s,99c"],
            "KMP_LIBRARY": ["serial", "turnaround"],
            "KMP_DUPLICATE_LIB_OK": ["true"],
            "KMP_SETTINGS": ["true"],
            "KMP_VERSION": ["true"],
            "KMP_ALL_THREADS": ["1"],
            "KMP_DEVICE_THREAD_LIMIT": ["1"],
            "LIBOMP_NUM_HIDDEN_HELPER_THREADS": ["99999"],
        }
        yield {"name": "nothing set", "team": "OpenMP"}
        yield {"name": "OMP_NUM_THREADS=2", "environment": {"OMP_NUM_THREADS": "2"}, "team": "OpenMP"}
        for name, choices in values.items():
            for value in choices:
                yield {"name": f"{name}={value}", "environment": {name: value}, "team": "pthreads"}
        yield {"name": "XVERSE_THREADING=pthread", "environment": {"XVERSE_THREADING": "pthread"}, "team": "pthreads"}
        yield {"name": "XVERSE_THREADING=openmp", "environment": {"XVERSE_THREADING": "openmp"}, "team": "OpenMP"}
        yield {"name": "XVERSE_THREADING=gpu", "environment": {"XVERSE_THREADING": "gpu"}, "may_fail": True}

    def limits(self):
        for kib in (60000, 120000, 220000, 400000, 2000000, 16000000):
            limits = {resource.RLIMIT_AS: kib << 10}
            yield {"name": f"ulimit -v {kib}", "limits": limits, "may_fail": True, "says": ""}
        for kib in (64, 128, 192, 1000, 8192, 1 << 20):
            team = {"team": "pthreads"} if kib < 1024 else {}
            yield {"name": f"ulimit -s {kib}", "limits": {resource.RLIMIT_STACK: kib << 10}, **team}
        for kib in (4000, 100000):
            yield {
                "name": f"ulimit -d {kib}",
                "limits": {resource.RLIMIT_DATA: kib << 10},
                "may_fail": True,
                "says": "",
            }
        yield {"name": "ulimit -f 0", "limits": {resource.RLIMIT_FSIZE: 0}, "team": "pthreads"}
        for files in (16, 24, 256):
            yield {"name": f"ulimit -n {files}", "limits": {resource.RLIMIT_NOFILE: files}, "may_fail": True}
        yield {"name": "ulimit -l 0", "limits": {resource.RLIMIT_MEMLOCK: 0}}
        yield {
            "name": "ulimit -v 16000000, OMP_STACKSIZE=100G", "limits": {resource.RLIMIT_AS: 16000000 << 10},
            "environment": {"OMP_STACKSIZE": "100G"}, "team": "pthreads",
        }  # fmt: skip

    def companions(self):
        """Hosts with an OpenMP runtime, and libraries that bring one."""
        empty = self.work / "empty.c"
        empty.write_text("int xverse_test_companion;\n")
        for name, team in (("libiomp5.so", "pthreads"), ("libomp-1a2b3c.so.5", "pthreads"), ("libgomp-7.so", "OpenMP")):
            library = self.work / name
            subprocess.run(
                [os.environ.get("CC", "cc"), "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", library, empty],
                check=True,
            )
            yield {"name": f"{name} preloaded", "environment": {"LD_PRELOAD": str(library)}, "team": team}
        yield {"name": "libomp preloaded", "environment": {"LD_PRELOAD": "libomp.so.5"}, "team": "pthreads"}
        compilers = [("none", None, (), "OpenMP"), ("GCC's OpenMP", "gcc", ("-fopenmp",), "OpenMP")]
        if shutil.which("clang"):
            flags = ("-Xclang", "-fopenmp", "-l:libomp.so.5")
            compilers.append(("LLVM's OpenMP", "clang", flags, "pthreads"))
            for folder in sorted(Path(sys.prefix).glob("lib/libiomp5.so")):
                flags = ("-Xclang", "-fopenmp", str(folder), f"-Wl,-rpath,{folder.parent}")
                compilers.append(("Intel's OpenMP", "clang", flags, "pthreads"))
                break
            else:
                self.say("skipped: Intel's OpenMP in the host (pip install intel-openmp)")
        for index, (name, compiler, flags, team) in enumerate(compilers):
            program = self.compiled("companion", *flags, compiler=compiler, output=f"companion{index}")
            answer = self.run([program, self.model, "none"]).stdout
            for when in ("none",) if name == "none" else ("before", "after", "both"):
                yield {
                    "name": f"host with {name}, {when}", "command": [program, self.model, when],
                    "answer": answer, "team": team,
                }  # fmt: skip
        usable = {name: use for name, use in MODULES.items() if self.run([sys.executable, "-c", use]).returncode == 0}
        for module in MODULES.keys() - usable.keys():
            self.say(f"skipped: {module} before and after (pip install {module})")
        if len(usable) > 1:
            usable["all of them"] = "\n".join(usable.values())
        for module, use in usable.items():
            answer = f"model.session().generate({TEXT!r}, temperature=0, max_new_tokens=8).text"
            load = "import sys, xverse; model = xverse.Model(sys.argv[1])"
            for order in ("before", "after", "both"):
                program = self.work / f"{module}-{order}.py"
                lines = [use if order != "after" else "", load, answer, use if order != "before" else ""]
                program.write_text("\n".join([*lines, f"sys.stdout.write({answer})"]) + "\n")
                yield {
                    "name": f"Python with {module}, {order}", "command": [sys.executable, program, self.model],
                    "environment": self.python_environment(), "team": "pthreads",
                }  # fmt: skip

    # ---- threads ----

    def threads(self):
        processors = sorted(os.sched_getaffinity(0))
        rows = [("nothing set", {}, len(processors))]
        for name, value in (
            ("OMP_PROC_BIND", "close"), ("OMP_PROC_BIND", "spread"), ("OMP_PLACES", "threads"),
            ("GOMP_CPU_AFFINITY", ",".join(map(str, processors))),
        ):  # fmt: skip
            rows.append((f"{name}={value}", {name: value}, len(processors)))
        rows.append(("OMP_PLACES={first}", {"OMP_PLACES": f"{{{processors[0]}}}"}, 1))
        program = self.compiled("companion", "-fopenmp", compiler="gcc", output="bound")
        for name, environment, expected in rows:
            for when in ("none", "before"):
                self.count_threads([program, self.model, when], f"{name}, {when}", environment, expected)
        # What the process was started with holds for the compute threads too.
        first = ["taskset", "-c", str(processors[0])]
        for name, environment in (("taskset", {}), ("taskset, OMP_PROC_BIND=close", {"OMP_PROC_BIND": "close"})):
            self.count_threads([*first, program, self.model, "none"], name, environment, 1)

    def count_threads(self, command, name, environment, expected):
        done = self.run(command, {"XVERSE_LOG": "info"} | environment)
        log = done.stderr.decode(errors="replace")
        found = re.search(r"(\d+) compute threads? \(this process may use (\d+) CPU", log)
        if done.returncode != 0 or found is None:
            self.fail(f"{name}: exit {done.returncode}, {log[-300:]}")
            return
        self.say(f"{name:<44} {found[1]} threads")
        # A quota of CPU time can make them fewer.
        if int(found[2]) != expected or int(found[1]) > expected:
            self.fail(f"{name}: {found[1]} threads on {found[2]} CPUs, expected {expected}")

    # ---- floats ----

    def floats(self):
        done = self.run([self.compiled("floats"), self.model])
        if done.returncode != 0:
            self.fail(f"floats: exit {done.returncode}, {done.stderr.decode()[:300]}")

    # ---- exits ----

    def exits(self):
        program = self.compiled("exit")
        kinds = [
            (work, way)
            for work in ("prefill", "decode", "load", "quantize", "calibrate")
            for way in ("return", "exit", "joined", "callback")
        ]
        # Spread over what a prefill, a load and a few tokens take; and under both kinds of team.
        trials = [
            (work, way, 1000 * (2 + 7 * run % 90), "openmp" if run % 2 else "pthread")
            for work, way in kinds for run in range(self.runs)
        ]  # fmt: skip
        trials += [("stuck", way, 200_000, team) for way in ("return", "exit") for team in ("openmp", "pthread")]
        self.trials(
            trials, lambda t: ([program, self.model, *t[:3]], {"XVERSE_NUM_THREADS": "3", "XVERSE_THREADING": t[3]}), 7
        )
        done = self.run([program, self.model, "stuck", "return", 200_000], {"XVERSE_NUM_THREADS": "3"})
        if (done.returncode, done.stdout) != (7, b"left"):
            self.fail(f"stuck: exit {done.returncode}, {done.stdout}: expected 7 and what was printed last")

    def trials(self, trials, prepare, expected):
        def one(trial):
            command, environment = prepare(trial)
            start = time.monotonic()
            try:
                done = self.run(command, environment)
            except subprocess.TimeoutExpired:
                return f"{trial}: no end"
            if done.returncode != expected:
                return f"{trial}: exit {done.returncode}, {done.stderr.decode(errors='replace')[-300:]}"
            return time.monotonic() - start

        outcomes = self.all(one, trials)
        for outcome in outcomes:
            if isinstance(outcome, str):
                self.fail(outcome)
        times = [outcome for outcome in outcomes if not isinstance(outcome, str)]
        self.say(
            f"{len(times)} of {len(trials)} ended with {expected}, the slowest after {max(times, default=0):.1f} s"
        )

    # ---- python ----

    def python(self):
        environment = self.python_environment()
        for name, text in ENDS.items():
            (self.work / f"{name}.py").write_text("import sys, threading, time\nimport xverse\n" + text)
        trials = [(name, 3 * run % 40) for name in ENDS for run in range(self.runs)]
        self.trials(
            trials, lambda t: ([sys.executable, self.work / f"{t[0]}.py", self.model, t[1] / 1000], environment), 5
        )
        for name, text in INTERRUPTED.items():
            (self.work / f"{name}.py").write_text(INTERRUPT + text)
            self.trials(
                [(name, 7 * run % 60) for run in range(self.runs)],
                lambda t: ([sys.executable, self.work / f"{t[0]}.py", self.model, t[1] / 1000], environment), 6,
            )  # fmt: skip

    # ---- saves ----

    def saves(self):
        program, file = self.compiled("saves"), self.work / "saved.session"
        moments = random.Random(1)
        unfinished = 0
        for kill in range(50):
            # The length that the killed program said last, or the one that it was about to say.
            with subprocess.Popen(
                [program, self.model, file, "write"], stdout=subprocess.PIPE, text=True, env=self.environment
            ) as writer:
                said = writer.stdout.readline()
                time.sleep(moments.uniform(0, 0.1))
                writer.kill()
                said = [said, *writer.stdout.readlines()]
            lengths = [int(line.split()[1]) for line in said if line.endswith("\n")]
            unfinished += Path(f"{file}.partial").exists()
            done = self.run([program, self.model, file, "read"])
            found = done.stdout.decode().strip()
            if done.returncode != 0 or not lengths or int(found) not in (lengths[-1], lengths[-1] + 1):
                self.fail(f"kill {kill}: said {said}, found {found}, exit {done.returncode}: {done.stderr.decode()}")
        self.say(f"50 kills, {unfinished} of them before a new file was whole; the file was whole after each")
        if unfinished == 0:
            self.fail("no kill hit an unfinished file")


# Other modules with an OpenMP runtime, and what makes them use it.
MODULES = {
    "numpy": "import numpy; assert float((numpy.ones((500, 500)) @ numpy.ones((500, 500))).sum()) == 500**3",
    "torch": "import torch; assert float((torch.ones(500, 500) @ torch.ones(500, 500)).sum()) == 500**3",
    "scikit-learn": "from sklearn.cluster import KMeans; KMeans(2, n_init=1).fit([[i % 7, i] for i in range(2000)])",
    "mkl": (
        "import ctypes as c, glob, sys; m = c.CDLL(glob.glob(sys.prefix + '/lib/libmkl_rt.so*')[0]); n = 300; "
        "m.MKL_Get_Max_Threads(); a = (c.c_double * (n * n))(*[1] * (n * n)); r = (c.c_double * (n * n))(); "
        "m.cblas_dgemm(101, 111, 111, n, n, n, c.c_double(1), a, n, a, n, c.c_double(0), r, n); assert r[5] == n"
    ),
    "ctranslate2": "import ctranslate2; ctranslate2.get_supported_compute_types('cpu')",
}

# What a process has of libomp and OpenBLAS after an answer, and how much memory it takes.
STATE = """
import glob, os, re, sys
import xverse
options = dict(word.split("=") for word in sys.argv[2:])
model = xverse.Model(sys.argv[1], threads=int(options["threads"]), threading=options["threading"])
model.session().generate("Once", temperature=0, max_new_tokens=4)
status = open("/proc/self/status").read()
state = [re.search(r"VmRSS:\\s*(\\d+)", status)[1] + "_KiB"]
maps = open("/proc/self/maps").read()
state += [name for name in ("libomp", "openblas") if name in maps]
state += ["registered"] if glob.glob(f"/dev/shm/__KMP_REGISTERED_LIB_{os.getpid()}_*") else []
print(*state)
"""

# Programs that end with 5 while the library computes.
ENDS = {
    "daemon": """
session = xverse.Model(sys.argv[1]).session()
def work():
    while True:
        session.generate("Once upon a time", lambda piece: None, ignore_eos=1, max_new_tokens=400)
threading.Thread(target=work, daemon=True).start()
time.sleep(float(sys.argv[2]))
sys.stderr.close()
sys.exit(5)
""",
    "streaming": """
import gc
pieces = xverse.Model(sys.argv[1]).session().chat([("user", "Hello!")], ignore_eos=1, max_new_tokens=400)
next(pieces)
gc.disable()
cycle = [pieces]
cycle.append(cycle)
del pieces
time.sleep(float(sys.argv[2]))
sys.exit(5)
""",
    "loading": """
def work():
    while True:
        xverse.Model(sys.argv[1], quantize="int4")
threading.Thread(target=work, daemon=True).start()
time.sleep(float(sys.argv[2]))
sys.stderr.close()
sys.exit(5)
""",
}

# Programs that get Ctrl-C while the library computes, and end with 6 when it was noticed soon.
INTERRUPT = """
import os, signal, sys, threading, time
import xverse
signal.signal(signal.SIGINT, signal.default_int_handler)
def interrupted(call, delay):
    end = time.monotonic() + 20
    try:
        threading.Timer(delay + float(sys.argv[2]), os.kill, (os.getpid(), signal.SIGINT)).start()
        while time.monotonic() < end:
            call()
    except KeyboardInterrupt:
        return True
    return False
"""
INTERRUPTED = {
    "generating": """
session = xverse.Model(sys.argv[1]).session()
for on_text in (None, lambda piece: None):
    if not interrupted(lambda: session.generate("hello " * 50, on_text, ignore_eos=1, max_new_tokens=900), 0.05):
        sys.exit(1)
# The session is whole.
assert len(session.generate("Once", temperature=0, max_new_tokens=4).tokens) > 0
sys.exit(6)
""",
    "chatting": """
session = xverse.Model(sys.argv[1]).session()
call = lambda: list(session.chat([("user", "Hello!")], ignore_eos=1, max_new_tokens=900))
sys.exit(6 if interrupted(call, 0.05) else 1)
""",
    "opening": """
call = lambda: xverse.Model(sys.argv[1], quantize="int4")
sys.exit(6 if interrupted(call, 0.02) and interrupted(call, 0.1) else 1)
""",
}

PARTS = ["needs", "table", "threads", "floats", "exits", "python", "saves"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix")
    parser.add_argument("--model", default=ROOT / "examples/demo-model")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("parts", nargs="*", metavar="PART")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as work:
        checker = Checker(arguments, work)
        try:
            for part in arguments.parts or PARTS:
                start = time.monotonic()
                getattr(checker, part)()
                checker.say(f"{part}: {time.monotonic() - start:.0f} s")
        except Failure as failure:
            checker.fail(str(failure))
    if checker.failures:
        sys.exit(f"check-host: {len(checker.failures)} failures")
    checker.say("all good")


if __name__ == "__main__":
    main()
