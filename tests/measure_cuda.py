#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""All that only a machine with an NVIDIA GPU can say of weir, in one run.

    tests/measure_cuda.py [--dir DIR] [--quick]

It builds weir for the GPU, compares every operation with the scalar kernels, runs that again under
compute-sanitizer, holds the text and the logits of the real trained model (WEIR_DATA), and measures
synthetic models of true size (tests/gen/synth_gguf.py: 26 GB of disk; with --quick a small one).
What was seen goes to standard output as Markdown, and what was said to DIR/log.  The exit status is
1 when something is wrong; slow is not wrong.

The GPU should have nothing else to do: what it has in use is counted for all programs.

    tests/measure_cuda.py --program build/tests/weir_fake --quick

runs everything but the build and the sanitizers with another program, as one with the fake device:
figures mean nothing then, but the script is tested.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MIB = 1 << 20
GIB = 1 << 30


class Run:
    """Where things lie, what has gone wrong, and the log."""

    def __init__(self, args):
        self.args = args
        self.dir = os.path.abspath(args.dir)
        os.makedirs(self.dir, exist_ok=True)
        self.log = open(os.path.join(self.dir, "log"), "w", encoding="utf-8")
        self.weir = os.path.abspath(args.program) if args.program else None
        self.bad = []

    def wrong(self, what):
        self.bad.append(what)
        print(f"**wrong**: {what}\n", flush=True)

    def call(self, *words, timeout=7200, cwd=None):
        """(status, stdout, stderr) of a program; all of it is logged."""
        self.log.write("$ " + " ".join(words) + "\n")
        self.log.flush()
        try:
            p = subprocess.run(words, capture_output=True, timeout=timeout, cwd=cwd, check=False,
                               stdin=subprocess.DEVNULL)
            r = (p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace"))
        except subprocess.TimeoutExpired:
            r = (124, "", f"it took more than {timeout} s")
        except OSError as e:
            r = (127, "", str(e))
        self.log.write(f"{r[1]}{r[2]}status {r[0]}\n\n")
        self.log.flush()
        return r


def say(text=""):
    print(text, flush=True)


def table(head, rows):
    say("| " + " | ".join(head) + " |")
    say("|" + "---|" * len(head))
    for row in rows:
        say("| " + " | ".join(str(c) for c in row) + " |")
    say()


def gb(rate):
    return f"{rate / 1e9:.2f} GB/s" if rate else "?"


def share(part, whole):
    return f"{part / whole:.3f}" if whole else "?"


def smi(query):
    """The first GPU's values, or None."""
    try:
        out = subprocess.run(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits", "-i", "0"],
                             capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if out.returncode or not out.stdout.strip():
        return None
    return [v.strip() for v in out.stdout.splitlines()[0].split(",")]


class Watch:
    """The most device memory in use while it is open, in bytes, less what was before."""

    def __enter__(self):
        self.before = self.used()
        self.most = self.before
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.loop)
        self.thread.start()
        return self

    @staticmethod
    def used():
        v = smi("memory.used")
        # "[N/A]", where the GPU has no memory of its own
        return int(v[0]) * MIB if v and v[0].isdigit() else None

    def loop(self):
        while not self.end.wait(0.05):
            self.most = max(self.most, self.used() or 0)

    def __exit__(self, *unused):
        self.end.set()
        self.thread.join()
        self.bytes = self.most - self.before


# ---- the steps ----

def build(run):
    if run.weir:
        return True
    where = os.path.join(run.dir, "build")
    os.makedirs(where, exist_ok=True)
    cap = smi("compute_cap")
    arch = cap[0].replace(".", "") if cap else "90"
    if not os.path.exists(os.path.join(TOP, "configure")):
        run.call("sh", "autogen.sh", cwd=TOP)
    for words in (["sh", os.path.join(TOP, "configure"), "--with-cuda", f"--with-cuda-arch={arch}"],
                  ["make", "-j", str(os.cpu_count())]):
        status, _, err = run.call(*words, cwd=where)
        if status:
            run.wrong(f"the build: {err.strip().splitlines()[-1:]}")
            return False
    run.weir = os.path.join(where, "weir")
    return True


def selftest(run):
    say("## Operations against the scalar kernels\n")
    status, out, err = run.call(run.weir, "selftest", "--cuda", "--json")
    try:
        all_rows = json.loads(out)["rows"]
    except (ValueError, KeyError):
        run.wrong(f"selftest: status {status}: {err.strip()}")
        run.call(run.weir, "selftest", "--cuda") # its lines, as far as it goes, into the log
        return
    groups = {}
    for r in all_rows:
        groups.setdefault(r["operation"].split()[0].rstrip(","), []).append(r)
    number = lambda v: v if isinstance(v, (int, float)) else float("inf")
    table(["operation", "lines", "cases", "largest error", "of its bound"],
          [[name, len(g), sum(r["cases"] for r in g), f"{max(number(r['error']) for r in g):.1e}",
            f"{max((number(r['error']) / r['bound'] if r['bound'] else 0) for r in g):.2f}"]
           for name, g in groups.items()])
    for r in all_rows:
        if not r["ok"]:
            run.wrong(f"{r['operation']}: {r['error']} (bound {r['bound']}) {r.get('complaint', '')}")
    if status and not run.bad:
        run.wrong(f"selftest: status {status}")


def sanitize(run):
    say("## compute-sanitizer\n")
    tool = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    if run.args.program:
        say("Not run: another program was named.\n")
        return
    if not os.path.exists(tool):
        run.wrong("compute-sanitizer is not installed")
        return
    rows = []
    for kind in ("memcheck", "racecheck", "synccheck"):
        t0 = time.time()
        status, out, err = run.call(tool, "--tool", kind, "--error-exitcode", "9", run.weir, "selftest",
                                    "--cuda", "-q", timeout=3600)
        found = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: .*", out + err)
        rows.append([kind, found[-1] if found else f"status {status}", f"{time.time() - t0:.0f} s"])
        if status:
            run.wrong(f"compute-sanitizer {kind}: status {status}")
    table(["tool", "what it says", "took"], rows)


def stats(run, model, *words, timeout=7200):
    """weir run with --stats: (the figures or None, stdout, stderr)."""
    path = os.path.join(run.dir, "stats.json")
    if os.path.exists(path):
        os.unlink(path)
    status, out, err = run.call(run.weir, "run", model, "--temp", "0", "-q", "--stats", path, *words,
                                timeout=timeout)
    if status or not os.path.exists(path):
        return None, out, err
    with open(path, encoding="utf-8") as f:
        return json.load(f), out, err


def smallest(run, model, *words):
    """The least --vram that runs and streams: what a refusal names, asked again when it moved."""
    budget = "1K"
    for _ in range(20):
        s, out, err = stats(run, model, "--vram", budget, *words)
        if s:
            return s, out
        named = re.findall(r"--vram (\d+)", err)
        if not named:
            return None, err
        budget = named[-1]
    return None, err


def least(run, model):
    """Budgets of VRAM and RAM that are a little more than the least."""
    s, why = smallest(run, model, "--tokens", "1", "-n", "1")
    if not s:
        run.wrong(f"the least --vram: {why.strip()}")
        return "2G", "1G"
    return str(int(s["smallest_vram_bytes"] * 1.1)), str(int(s["smallest_budget_bytes"] * 1.1) + 4 * MIB)


def golden(run):
    """Real models: their text, and the same logits wherever their weights are."""
    say("## Real models\n")
    companion = os.path.join(TOP, "models", "weir.gguf")
    words = ["-p", "Once upon a time there was a clever", "-n", "64", "--ctx", "256"]
    _, of_cpu, _ = stats(run, companion, *words, "--vram", "0")
    cases = [("weir.gguf", companion, words, of_cpu)]
    where = os.path.join(os.environ.get("WEIR_DATA", ""), "stories260K")
    if os.path.exists(os.path.join(where, "greedy-output.txt")):
        with open(os.path.join(where, "greedy-output.txt"), encoding="utf-8") as f:
            want = f.read()
        for kind in ("f32", "f16", "q8_0", "q4_0"):
            # what it was quantized to says another text, and rightly
            cases.append((f"stories260K {kind}", os.path.join(where, "derived", f"stories260K-{kind}.gguf"),
                          ["-p", "", "-n", "256", "--ctx", "512"], want if kind[0] == "f" else None))
    else:
        say("WEIR_DATA names no folder with stories260K.\n")
    rows = []
    for name, model, words, want in cases:
        a, text, err = stats(run, model, *words, "--vram", "auto")
        if not a:
            run.wrong(f"{name}: {err.strip()}")
            continue
        if a.get("device") != "cuda":
            run.wrong(f"{name}: --vram auto ran on {a.get('device')}")
        b, less = smallest(run, model, *words)
        if not b:
            run.wrong(f"{name}, streamed: {less.strip()}")
            continue
        same = a["logits_hash"] == b["logits_hash"]
        says = want is None or text.rstrip("\n") == want.rstrip("\n")
        moved = b["bus_bytes_per_pass"]
        rows.append([name, "" if want is None else "yes" if says else "**no**", moved,
                     "" if not moved else "yes" if same else "**no**"])
        if not same:
            run.wrong(f"{name}: logits differ between resident and streamed")
        if not says:
            run.wrong(f"{name}: it says another text than the reference")
    table(["model", "the text of the CPU, or the reference's", "streamed bytes a pass",
           "resident == streamed"], rows)


def model_of(run, shape, kind):
    path = os.path.join(run.dir, f"{shape}-{kind}.gguf")
    if not os.path.exists(path):
        status, _, err = run.call(sys.executable, os.path.join(TOP, "tests/gen/synth_gguf.py"), "--shape", shape,
                                  "--type", kind, path + ".part")
        if status:
            run.wrong(f"{shape} {kind}: {err.strip()}")
            return None
        os.rename(path + ".part", path)
    return path


def bench(run, model, *words):
    """The rows of weir bench, with the head of its report.  A --ram that is too little, which what a
    process has when it starts decides, becomes the one that the refusal names."""
    for last in (False, False, False, True):
        status, out, err = run.call(run.weir, "bench", model, "--json", "-q", *words)
        try:
            report = json.loads(out)
        except ValueError:
            run.wrong(f"bench {' '.join(words)}: status {status}: {err.strip()}")
            return {}, []
        bad = [r.get("error", r.get("status")) for r in report["rows"] if r.get("status") != "ok"]
        named = re.findall(r"--ram (\d+)", " ".join(map(str, bad)))
        if last or not named or "--ram" not in words:
            break
        words = list(words)
        words[words.index("--ram") + 1] = str(int(named[-1]) + MIB)
    for why in bad:
        run.wrong(f"bench {' '.join(words)}: {why}")
    return report, [r for r in report["rows"] if r.get("status") == "ok"]


def rates(run, model, *words):
    status, out, err = run.call(run.weir, "plan", model, *words, "--probe", "--json", "-q")
    try:
        return json.loads(out)
    except ValueError:
        run.wrong(f"plan: status {status}: {err.strip()}")
        return {}


def speed(run, models):
    say("## Speed\n")
    say("Rates are probed in the same run: copies from pinned memory, what the device reads of its own\n"
        "memory, direct reads of the disk. `share` is the rate of the row over that; the last column is what\n"
        "weir bench says of bounds that it measures between its repetitions.\n")
    rows = []
    for name, path in models:
        plan = rates(run, path, "--vram", "auto")
        bus, vram = plan.get("bus_probe_bytes_per_s", 0), plan.get("vram_probe_bytes_per_s", 0)
        size = plan.get("matmul_bytes", 0)
        small, little = least(run, path) if run.args.quick else ("2G", "1G")
        # the disk is probed only for a plan that reads it
        disk = rates(run, path, "--vram", small, "--ram", little).get("disk_probe_bytes_per_s", 0)
        rows.append([name, "probe", f"bus {gb(bus)}, VRAM {gb(vram)}, disk {gb(disk)}", "", "", "", ""])
        rows.append([name, "logits resident, from RAM, from disk", same_logits(run, name, path, small, little),
                     "", "", "", ""])
        cases = (("resident", ["--vram", "auto"], vram, lambda r: size),
                 ("streamed from RAM", ["--vram", small, "--ram", "auto"], bus, lambda r: r["bus_bytes_per_pass"]),
                 ("streamed from disk", ["--vram", small, "--ram", little], disk,
                  lambda r: r["streamed_bytes_per_pass"]))
        for what, words, bound, nbytes in cases:
            _, got = bench(run, path, *words, "--prefill", "0", "--decode", "16" if run.args.quick else "64", "-r", "3")
            for r in got:
                rate = r["tok_per_s"] * nbytes(r)
                rows.append([name, what, f"{r['tok_per_s']:.2f} tok/s", gb(rate), gb(bound), share(rate, bound),
                             f"{r.get('fraction', 0):.3f} of {r.get('bound', '?')}"])
        _, got = bench(run, path, "--vram", "auto", "--prefill", "512", "--decode", "0", "-r", "3")
        params = params_of(path)
        for r in got:
            ops = 2 * params * r["tok_per_s"]
            # halves are half as many
            peak = run.args.peak_tops * (0.5e12 if name.endswith("f16") else 1e12)
            rows.append([name, "prefill of 512", f"{r['tok_per_s']:.0f} tok/s", f"{ops / 1e12:.1f} T/s of multiply and add",
                         f"{peak / 1e12:.0f} T/s" if peak else "?", share(ops, peak),
                         f"{r.get('fraction', 0):.3f} of {r.get('bound', '?')}"])
    table(["model", "what", "seen", "rate", "bound", "share", "bench's own"], rows)


def same_logits(run, name, path, small, little):
    """Resident and streamed say the same to the bit; the real model may be too small to stream."""
    words = ["--tokens", "1,2,3,4,5,6,7,8", "-n", "8", "--ctx", "256"]
    hashes = set()
    for how in (["--vram", "auto"], ["--vram", small], ["--vram", small, "--ram", little]):
        s, _, err = stats(run, path, *words, *how)
        if not s:
            run.wrong(f"{name} {' '.join(how)}: {err.strip()}")
            return "?"
        hashes.add(s["logits_hash"])
    if len(hashes) > 1:
        run.wrong(f"{name}: logits differ between resident and streamed")
    return "the same" if len(hashes) == 1 else "**others**"


def params_of(path):
    """Weights of the matrices that each token goes through, from the shape in the name."""
    #          layers width    ff    kv width, vocabulary
    shapes = {"llama-2-7b": (32, 4096, 11008, 4096, 32000), "llama-3-8b": (32, 4096, 14336, 1024, 128256),
              "tiny": (4, 256, 768, 128, 2048)}
    for name, (layers, width, ff, kv, _) in shapes.items():
        if os.path.basename(path).startswith(name):
            return layers * (2 * width * width + 2 * width * kv + 3 * width * ff)
    return 0


def budgets(run, models):
    say("## VRAM in use\n")
    if Watch.used() is None:
        say("Not measured: nvidia-smi does not tell.\n")
        return
    with Watch() as w:
        run.call(run.weir, "selftest", "--cuda", "-q", "--only", "mul q")
    context = max(w.bytes - 48 * MIB, 0)
    say(f"A context of CUDA takes {context / MIB:.0f} MiB (selftest, less its 48 MiB); it is taken off below.\n")
    rows = []
    for name, path in models:
        for budget in ("2G", "4G", "6G"):
            with Watch() as w:
                s, _, err = stats(run, path, "--tokens", "1,2,3,4,5,6,7,8", "-n", "32", "--ctx", "2048", "--vram", budget)
            if not s:
                rows.append([name, budget, "refused: " + err.strip().replace("|", " "), "", ""])
                continue
            # The driver maps host memory that the GPU reads by tables in device memory: 8 bytes for 4 KiB.
            used, limit = w.bytes - context, int(budget[0]) * GIB + s.get("direct_bytes", 0) // 512
            rows.append([name, budget, f"{s['vram_used_bytes'] / MIB:.0f} MiB", f"{used / MIB:.0f} MiB",
                         f"{s['gen_tok_per_s']:.2f} tok/s"])
            # memory comes in pieces of 2 MiB, and a run has other kernels than the selftest above
            if used > limit + 16 * MIB:
                run.wrong(f"{name} at --vram {budget}: {used / MIB:.0f} MiB are in use")
    table(["model", "--vram", "planned", "in use, as the driver says", "decode"], rows)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--dir", default="measure-cuda", help="where models, the build and the log go")
    p.add_argument("--quick", action="store_true", help="a small model instead of the large ones")
    p.add_argument("--program", help="a weir that is built already; no sanitizers")
    p.add_argument("--peak-tops", type=float, default=0,
                   help="what the maker says of the tensor cores, in 10^12 operations per second (int8)")
    p.add_argument("--steps", default="selftest,sanitize,golden,speed,budgets",
                   help="what to do, by comma [%(default)s]")
    run = Run(p.parse_args())
    steps = run.args.steps.split(",")
    gpu = smi("name,driver_version,memory.total")
    if not gpu and not run.args.program:
        print("there is no GPU here: nvidia-smi finds none", file=sys.stderr)
        return 1
    say("# weir on a GPU\n")
    say((f"{gpu[0]}, driver {gpu[1]}, {gpu[2]} MiB; " if gpu else "") + time.strftime("%Y-%m-%d") + "\n")
    if not build(run):
        return 1
    for name, step in (("selftest", selftest), ("sanitize", sanitize), ("golden", golden)):
        if name in steps:
            step(run)
    wanted = [("tiny", "q4_k_m")] if run.args.quick else \
        [("llama-3-8b", "q4_k_m"), ("llama-2-7b", "q8_0"), ("llama-2-7b", "f16")]
    models = [(f"{s} {k}", model_of(run, s, k)) for s, k in wanted
              if "speed" in steps or "budgets" in steps]
    models = [m for m in models if m[1]]
    if "speed" in steps:
        speed(run, models)
    if "budgets" in steps and not run.args.quick:
        budgets(run, models)
    say("## Verdict\n")
    say("\n".join(f"- {b}" for b in run.bad) if run.bad else "Nothing is wrong.")
    return 1 if run.bad else 0


if __name__ == "__main__":
    sys.exit(main())
