#!/usr/bin/env python3
"""fashion_curves.py [--record] [DATA]: `poa train fashion` beside the same training in PyTorch, for the same
wall time: accuracy of the intact and of the smallest sub-network over time. --record puts the table into
bench/RESULTS.md. The environment may set PEERS (bench/peers/README.md; needed), SECONDS_EACH (150), MARKS (5),
THREADS, LIMIT (training images to ask, all), POA.

Both get the recipe's constants, crops, masks and schedule, the latter as long as fits into the time at the rate
that a trial found. Accuracy is found after the end, from teachers that were set aside. Ours runs from the start of
the process, compiling included, with kernels on disk as far as the trial left them; the peer's time begins when all
its libraries are loaded and every network was run once."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import training

DATA = "/usr/share/datasets/fashion-mnist"
SECONDS, MARKS = float(os.environ.get("SECONDS_EACH", 150)), int(os.environ.get("MARKS", 5))
LIMIT = os.environ.get("LIMIT")
RECIPE = "fashion"


def ends():
    """The smallest and the intact sub-network."""
    networks = training.run([training.POA, "info", RECIPE, "--json"])["subnetworks"]
    text = lambda p: ",".join(f"{k}={v}" for k, v in p.items() if k not in ("parameters", "flops"))
    return text(networks[0]), text(networks[-1])


def knn(run, data, point):
    limit = ["--limit", LIMIT] if LIMIT else []
    return training.run([training.POA, "eval", str(run), "--data", data, "--at", point, "--json"] + limit)[0]["knn"]


def step_seconds():
    trial = training.ours(RECIPE, "fp32", steps=24)
    return statistics.mean(step["seconds"] for step in trial["timed_steps"])


def train(data, work, steps, every):
    """Each checkpoint as a run of its own, (seconds since the start, folder)."""
    out, kept, last = work / "run", [], None
    command = [training.POA, "train", RECIPE, "--data", data, "--out", str(out), "--every", str(every),
               "--threads", str(training.THREADS), "--quiet", "--set", f"steps={steps},eval_images=1"]
    start = time.time()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=training.ROOT)
    checkpoint = out / "checkpoint.safetensors"
    while True:
        ended = process.poll() is not None
        if checkpoint.exists() and checkpoint.stat().st_ino != last:
            last = checkpoint.stat().st_ino
            mark = work / f"mark{len(kept)}"
            mark.mkdir()
            os.link(checkpoint, mark / checkpoint.name)  # the next one is written beside it and renamed
            kept.append((checkpoint.stat().st_mtime - start, mark))
        if ended:
            break
        time.sleep(0.05)
    if process.returncode:
        sys.exit(f"fashion_curves.py: {' '.join(command)}: exit status {process.returncode}")
    return kept


def ours(data, work):
    smallest, intact = ends()
    steps = int(SECONDS / step_seconds())
    every = max(steps // MARKS, 1)
    steps = every * MARKS
    training.say(f"poa, {steps} steps")
    kept = train(data, work, steps, every)[:MARKS]
    return [dict(steps=every * (i + 1), seconds=seconds, intact=knn(mark, data, intact),
                 smallest=knn(mark, data, smallest)) for i, (seconds, mark) in enumerate(kept)]


def peer_command(peer, data, *flags):
    return [peer.python, "bench/peers/train_fashion.py", data, "--recipe", f"models/{RECIPE}.poa", "--threads",
            str(training.THREADS), *flags]


def theirs(data):
    peers = [peer for python in training.PEERS for peer in training.peers_of(python)]
    rates = [training.run(peer_command(peer, data, "--rate"), peer.environment())["rate"] for peer in peers]
    peer = peers[rates.index(max(rates))]
    training.say(f"{peer.name}, {max(rates):.2f} steps a second")
    flags = ["--seconds", str(SECONDS), "--marks", str(MARKS)] + (["--limit", LIMIT] if LIMIT else [])
    return peer, training.run(peer_command(peer, data, *flags), peer.environment())


def print_table(mine, peer, other):
    print(f"{training.machine_name()}, {training.THREADS} threads; the peer is {peer.name}. The pixels themselves reach")
    print(f"{100 * other['pixels']:.1f} %{f', asking {LIMIT} training images' if LIMIT else ''}.\n")
    print("| poa: seconds | steps | intact, k-NN % | smallest | peer: seconds | steps | intact, k-NN % | smallest |")
    print("|---|---|---|---|---|---|---|---|")
    cells = lambda p: f"{p['seconds']:.0f} | {p['steps']} | {100 * p['intact']:.1f} | {100 * p['smallest']:.1f}"
    for row in zip(mine, other["curve"]):
        print(f"| {cells(row[0])} | {cells(row[1])} |")


def main():
    arguments = [a for a in sys.argv[1:] if a != "--record"]
    data = arguments[0] if arguments else DATA
    if not training.PEERS:
        sys.exit("fashion_curves.py: PEERS names no Python with torch (bench/peers/README.md)")
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        mine = ours(data, work)
    finally:
        shutil.rmtree(work)
    peer, other = theirs(data)
    training.output("curves" if "--record" in sys.argv else None, lambda: print_table(mine, peer, other))


if __name__ == "__main__":
    main()
