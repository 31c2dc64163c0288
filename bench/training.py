#!/usr/bin/env python3
"""training.py [--record] [RECIPE..]: training steps of `poa bench`, beside the same steps in PyTorch.

In turn and on the same sub-networks, a round after the other; prints tables, and with --record puts
them into bench/RESULTS.md. The environment may set

  PEERS        Pythons with torch, between colons (bench/peers/README.md); without one poa runs alone
  ROUNDS       2       STEPS   of a round, 4
  THREADS      all     SCALE   the recipe that is also timed on one thread (vits16; empty: none)
  PRECISIONS   fp32,bf16, as far as `poa bench` knows them
  POA          build/release/poa
"""
import contextlib
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
POA = os.environ.get("POA", str(ROOT / "build/release/poa"))
PEERS = [python for python in os.environ.get("PEERS", "").split(":") if python]
ROUNDS, STEPS = int(os.environ.get("ROUNDS", 2)), int(os.environ.get("STEPS", 4))
THREADS = int(os.environ.get("THREADS", os.cpu_count()))
SCALE = os.environ.get("SCALE", "vits16")
RECIPES = ["tiny", "small", "vits16", "swin_small", "resnet_small"]
BF16_RECIPES = ["tiny", "small", "vits16"]
OPENMP_BLAS = "/usr/lib/x86_64-linux-gnu/openblas-openmp"  # Debian: libopenblas0-openmp

# What this project asks of itself: for each row, how it is compared, and the bar of each recipe.
ROWS = [
    ("share", "share of the fp32 peak, fp32", "at least",
     dict(tiny=0.65, small=0.82, vits16=0.82, swin_small=0.6, resnet_small=0.6)),
    ("rate", "step rate against the peer, fp32", "at least",
     dict(tiny=1.5, small=1.35, vits16=1.7, swin_small=1.5, resnet_small=1.5)),
    ("bf16", "step rate, our bf16 against our fp32", "at least", dict(small=1.4, vits16=1.5)),
    ("rate_bf16", "step rate against the peer, bf16 both", "at least",
     dict(tiny=1.5, small=1.4, vits16=1.4)),
    ("memory", "peak memory against the peer, fp32", "at most",
     dict(tiny=1 / 3, small=1 / 3, vits16=1 / 3, swin_small=1 / 2, resnet_small=1 / 2)),
    ("cold", "start with nothing compiled, s", "at most", dict(tiny=1, small=1, vits16=1.5)),
    ("warm", "start with kernels on disk, s", "at most", dict(tiny=0.15, small=0.2, vits16=0.3)),
    ("width", "a new width, ms", "at most", dict(tiny=150, small=150, vits16=150)),
    ("depth", "a new depth at a known width, ms", "at most", dict(tiny=15, small=15, vits16=15)),
    ("scaling", "step rate, two threads against one", "at least", dict(vits16=1.85)),
]


def say(text):
    print(f"training.py: {text}", file=sys.stderr, flush=True)


def run(command, environment=None):
    """The JSON that a command prints; its errors are ours."""
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"training.py: {' '.join(command)}: exit status {done.returncode}")
    return json.loads(done.stdout)


def ours(recipe, precision, threads=THREADS, steps=STEPS, seed=0, at=None):
    command = [POA, "bench", recipe, "--json", "--threads", str(threads), "--steps", str(steps),
               "--seed", str(seed)]
    command += ["--at", at] if at else []
    command += ["--precision", precision] if precision != "fp32" else []
    return run(command)


def choices(result):
    """The sub-networks of the steps, as bench_step.py wants them: 128x4,64x3,.."""
    return ",".join("x".join(str(n) for n in step["at"].values()) for step in result["timed_steps"])


class Peer:
    """A Python with PyTorch, and how its threads and its BLAS library are set up."""

    def __init__(self, python, version, policy, openmp_blas):
        self.python, self.policy, self.openmp_blas = python, policy, openmp_blas
        blas = "" if openmp_blas is None else ", OpenMP OpenBLAS" if openmp_blas else ", pthread OpenBLAS"
        self.name = f"PyTorch {version}{blas}, {policy}"

    def environment(self):
        environment = {k: v for k, v in os.environ.items()
                       if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
        environment.update(OMP_NUM_THREADS=str(THREADS), OMP_WAIT_POLICY=self.policy)
        if self.openmp_blas:
            environment["LD_LIBRARY_PATH"] = OPENMP_BLAS
        return environment

    def run(self, recipe, precision, drawn, steps):
        command = [self.python, "bench/peers/bench_step.py", recipe, "--json", "--threads", str(THREADS),
                   "--steps", str(steps), "--elastic", drawn]
        return run(command + (["--bf16"] if precision == "bf16" else []), self.environment())


def peers_of(python):
    """Debian's PyTorch takes the system's BLAS library, others bring their own, on the same OpenMP
    threads. Threads that wait may spin where those of the library are the same, else not."""
    told = subprocess.run([python, "-c", "import torch; print(torch.__version__, torch.__file__)"],
                          capture_output=True, text=True)
    if told.returncode:
        sys.exit(f"training.py: {python} has no torch: {told.stderr.strip().splitlines()[-1]}")
    version, file = told.stdout.split()
    if not file.startswith("/usr/lib/python3/"):
        return [Peer(python, version, "active", None), Peer(python, version, "passive", None)]
    found = [Peer(python, version, "passive", False)]
    return found + ([Peer(python, version, "active", True)] if os.path.isdir(OPENMP_BLAS) else [])


def fastest(peers, recipe, precision, drawn):
    """Two steps of each; the one whose second is shortest is the peer at its best."""
    if len(peers) < 2:
        return peers[0]
    seconds = [peer.run(recipe, precision, drawn, 1)["median"] for peer in peers]
    for peer, time in zip(peers, seconds):
        say(f"  {peer.name}: {time:.3f} s")
    return peers[seconds.index(min(seconds))]


def precisions():
    told = subprocess.run([POA, "help", "bench"], stdout=subprocess.PIPE, text=True).stdout
    wanted = os.environ.get("PRECISIONS", "fp32,bf16").split(",")
    return [p for p in wanted if p == "fp32" or "--precision" in told]


def measure(recipes, peers):
    """(recipe, precision) -> our results, the peer's, its name."""
    runs = {}
    known = [(r, p) for p in precisions() for r in recipes if p == "fp32" or r in BF16_RECIPES]
    for number in range(ROUNDS):
        for recipe, precision in known:
            say(f"{recipe} {precision}, round {number + 1} of {ROUNDS}")
            mine = ours(recipe, precision, seed=number)
            entry = runs.setdefault((recipe, precision), dict(ours=[], peer=[], best=None))
            entry["ours"].append(mine)
            if peers:
                drawn = choices(mine)
                entry["best"] = entry["best"] or fastest(peers, recipe, precision, drawn.split(",")[0])
                entry["peer"].append(entry["best"].run(recipe, precision, drawn, STEPS))
    return runs


def middle_point(recipe):
    networks = run([POA, "info", recipe, "--json"])["subnetworks"]
    point = networks[len(networks) // 2]
    return ",".join(f"{k}={v}" for k, v in point.items() if k not in ("parameters", "flops"))


def measure_scaling():
    at = middle_point(SCALE)
    say(f"{SCALE} at {at} on one thread and on two")
    one, two = (ours(SCALE, "fp32", threads, 2, at=at) for threads in (1, 2))
    return one["step_s"] / two["step_s"]


def median(values):
    return statistics.median(values)


def figures(runs, recipe):
    """By the keys of ROWS; what was not measured is left out."""
    found, single, half = {}, runs[recipe, "fp32"], runs.get((recipe, "bf16"))
    mine = single["ours"]
    for key, name in (("share", "mfu"), ("cold", "cold_s"), ("warm", "warm_s"),
                      ("width", "new_width_ms"), ("depth", "new_depth_ms")):
        values = [r[name] for r in mine if r[name] is not None]
        if values:
            found[key] = median(values)
    for key, entry in (("rate", single), ("rate_bf16", half)):
        if entry and entry["peer"]:
            found[key] = median(p["median"] / m["step_s"] for p, m in zip(entry["peer"], entry["ours"]))
    if single["peer"]:
        found["memory"] = (max(r["rss_peak_bytes"] for r in mine)
                           / max(r["peak_resident_bytes"] for r in single["peer"]))
    if half:
        found["bf16"] = median(s["step_s"] / h["step_s"] for s, h in zip(mine, half["ours"]))
    return found


def shown(key, value):
    if key == "share":
        return f"{100 * value:.1f} %"
    return f"{value:.0f}" if key in ("width", "depth") else f"{value:.2f}"


def cell(key, relation, value, bar):
    """"0.71 (at most 0.33: not met)" """
    if value is None:
        return "-" if bar is None else f"- ({relation} {shown(key, bar)}: not measured)"
    if bar is None:
        return shown(key, value)
    met = value >= bar if relation == "at least" else value <= bar
    return f"{shown(key, value)} ({relation} {shown(key, bar)}: {'met' if met else '**not met**'})"


def print_bars(runs, recipes, scaling):
    found = {recipe: figures(runs, recipe) for recipe in recipes}
    if scaling:
        found[SCALE]["scaling"] = scaling
    print("| | " + " | ".join(recipes) + " |\n|---" + "|---" * len(recipes) + "|")
    for key, title, relation, bars in ROWS:
        values = [cell(key, relation, found[r].get(key), bars.get(r)) for r in recipes]
        print(f"| {title} | " + " | ".join(values) + " |")


def print_steps(runs):
    print("| recipe | precision | GFLOP | poa, s | half of them | peer, s | poa, GiB | planned | peer, GiB | peer |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for (recipe, precision), entry in runs.items():
        mine, theirs = entry["ours"], entry["peer"]
        spread = [median(r["step_seconds"][q] for r in mine) for q in ("lower_quartile", "upper_quartile")]
        gib = lambda results, key: f"{max(r[key] for r in results) / 2**30:.2f}"
        print(f"| {recipe} | {precision} | {median(r['model_gflop'] for r in mine):.0f} "
              f"| {median(r['step_s'] for r in mine):.3f} | {spread[0]:.3f} to {spread[1]:.3f} "
              f"| {format(median(r['median'] for r in theirs), '.3f') if theirs else '-'} "
              f"| {gib(mine, 'rss_peak_bytes')} | {gib(mine, 'planned_peak_bytes')} "
              f"| {gib(theirs, 'peak_resident_bytes') if theirs else '-'} "
              f"| {entry['best'].name if entry['best'] else '-'} |")


def print_profiles(runs):
    """Where the time of a step goes, by branch and by family of kernels."""
    print("| recipe | precision | by branch | by family of kernels |\n|---|---|---|---|")
    for (recipe, precision), entry in runs.items():
        profile = entry["ours"][-1]["profile"]
        cells = []
        for rows in (profile["branches"], profile["families"]):
            cells.append(", ".join(f"{row['name']} {100 * row['seconds'] / profile['seconds']:.1f} %"
                                   for row in rows if row["seconds"] > 0.003 * profile["seconds"]))
        print(f"| {recipe} | {precision} | " + " | ".join(cells) + " |")


def processor():
    """What lscpu says of it."""
    facts = {}
    for line in subprocess.run(["lscpu"], stdout=subprocess.PIPE, text=True).stdout.splitlines():
        key, _, value = line.partition(":")
        facts[key.strip()] = value.strip()
    return facts


def machine_name():
    return processor().get("Model name", "a processor")


def machine(runs):
    facts = processor()
    peaks = {}
    for (_, precision), entry in runs.items():
        peaks.setdefault(precision, []).extend(r["peak_gflops"] for r in entry["ours"])
    ranges = ", ".join(f"{min(p):.0f} to {max(p):.0f} GFLOP/s in {name}" for name, p in peaks.items())
    first = next(iter(runs.values()))["ours"][0]
    return (f"{facts.get('Model name', 'a processor')} ({first['cpu']}, {first['lanes']} lanes), {THREADS} threads "
            f"of {os.cpu_count()} cores, L2 {facts.get('L2 cache', '?')}, L3 {facts.get('L3 cache', '?')}; "
            f"multiply-adds peak at {ranges}.")


def print_tables(runs, recipes, scaling):
    print(machine(runs))
    print(f"Medians of {ROUNDS} rounds in turn, each of {STEPS} steps. Bars are this project's own.\n")
    print_bars(runs, recipes, scaling)
    print("\nThe steps, in seconds; GFLOP are of the products that the description asks for; memory is what was")
    print("resident at most, by getrusage of either process (the peer's has Python and its libraries in it, ours")
    print("LLVM), and beside it what our plan says:\n")
    print_steps(runs)
    print("\nWhere the time of one of our steps goes:\n")
    print_profiles(runs)


def output(section, print_all):
    """Into a section of bench/RESULTS.md, shown too; None: shown alone."""
    if not section:
        print_all()
        return
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        print_all()
    subprocess.run([HERE / "put_section.sh", section], input=text.getvalue(), text=True, check=True)


def main():
    arguments = sys.argv[1:]
    record = "--record" in arguments
    recipes = [a for a in arguments if a != "--record"] or RECIPES
    unknown = [r for r in recipes if r not in RECIPES]
    if unknown:
        sys.exit(f"training.py: no recipe of {', '.join(RECIPES)}: {', '.join(unknown)}")
    peers = [peer for python in PEERS for peer in peers_of(python)]
    runs = measure(recipes, peers)
    scaling = measure_scaling() if SCALE in recipes and THREADS >= 2 else None
    output("training" if record else None, lambda: print_tables(runs, recipes, scaling))


if __name__ == "__main__":
    main()
