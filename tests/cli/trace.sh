#!/usr/bin/env bash
# slow: trains a few steps.
#
# `poa train --trace` writes a timeline that is JSON, in which every launch lies in its step on every
# thread and the other threads are seen too; it changes no bit of the run. A file that cannot be
# written is refused before training starts.
set -euo pipefail
poa=$1
source "$(dirname "$0")/common.bash"
need_data

refuse 'there is no folder' "$poa" train "$micro" --data "$data" --out none --trace no/such/trace.json
[[ ! -e none ]] || fail "a run began though its trace cannot be written"

train() { "$poa" train "$micro" --data "$data" --seed 3 --steps 8 --every 2 --quiet "$@" >/dev/null; }
train --out plain --threads 2
train --out traced --threads 2 --trace trace.json
cmp plain/checkpoint.safetensors traced/checkpoint.safetensors || fail "a trace changes the run"

python3 - trace.json <<'PYTHON' || fail "the timeline"
import json, sys
trace = json.load(open(sys.argv[1]))
assert trace["otherData"]["events left out"] == 0
names = {e["tid"]: e["args"]["name"] for e in trace["traceEvents"] if e["ph"] == "M"}
spans = [e for e in trace["traceEvents"] if e["ph"] == "X"]
assert all(e["dur"] >= 0 and e["ts"] >= 0 for e in spans)
on = lambda track: [e for e in spans if names[e["tid"]] == track]
steps = [e for e in on("run") if e["name"] == "step"]
assert len(steps) == 5 and all("width=" in e["args"]["at"] for e in steps)
assert any(e["name"] == "checkpoint" for e in on("run"))
assert len(on("images")) >= 4 and on("compile")
inside = lambda e: any(s["ts"] <= e["ts"] and e["ts"] + e["dur"] <= s["ts"] + s["dur"] + 1 for s in steps)
kernels = [[e["name"] for e in on(f"thread {i}") if e["cat"] != "wait"] for i in (0, 1)]
assert kernels[0] == kernels[1] and any(name.startswith("gemm ") for name in kernels[0])
assert all(inside(e) for i in (0, 1) for e in on(f"thread {i}"))
for i in (0, 1):  # one thing after the other
    track = on(f"thread {i}")
    assert all(a["ts"] + a["dur"] <= b["ts"] + 0.01 for a, b in zip(track, track[1:]))
PYTHON
echo "1 passed, 0 failed"
