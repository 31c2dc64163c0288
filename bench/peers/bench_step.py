"""Times one full POA step (teacher, intact and elastic forward; backward; clip; AdamW; EMA) on synthetic data.

  bench_step.py CONFIG [--threads 2] [--steps 5] [--warmup 1] [--profile] ...

The elastic choice is drawn anew for each step from the official deck, so step times differ. --elastic pins it, or, with
several choices, goes through them in turn: 256x9 is a width and a depth (Swin: the first stage's width, the third's
depth), 1x2x3x4x2 a ResNet's width index and four depths.

OMP_WAIT_POLICY is set to passive unless given: where the BLAS library has its own thread pool (OpenBLAS built with
pthreads), OpenMP workers that spin between parallel regions take its cores and a step gets 2 to 3 times slower.  With a
BLAS that uses the same OpenMP pool, give OMP_WAIT_POLICY=active."""
import argparse
import itertools
import json
import os
import resource
import statistics
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch  # noqa: E402

import poa_torch as T  # noqa: E402

TINY_HEADS = dict(prototypes=[1024, 2048], head_hidden=512, head_bottleneck=128)
CONFIGS = dict(
    tiny=dict(batch=32, local=16, cfg=dict(arch="vit", img_size=32, patch_size=4, min_width=64, max_width=192,
                                           head_dim=64, min_depth=3, max_depth=6, n_local=4, **TINY_HEADS)),
    small=dict(batch=16, local=48, cfg=dict(arch="vit", img_size=96, patch_size=8, min_width=192, max_width=384,
                                            head_dim=64, min_depth=6, max_depth=12, n_local=4, prototypes=[4096, 8192],
                                            head_hidden=1024, head_bottleneck=256)),
    vits16=dict(batch=8, local=96, cfg=dict(arch="vit", img_size=224, patch_size=16, min_width=192, max_width=384,
                                            head_dim=64, min_depth=6, max_depth=12, n_local=4,
                                            prototypes=[8192, 16384], head_hidden=2048, head_bottleneck=256)),
    swin_small=dict(batch=16, local=32, cfg=dict(arch="swin", img_size=64, patch_size=4, window=4, head_dim=16,
                                                 min_width=48, max_width=96, max_depths=[2, 2, 8, 2], min_depth=4,
                                                 n_local=4, **TINY_HEADS)),
    resnet_small=dict(batch=16, local=32, cfg=dict(arch="resnet", img_size=64, stem=32, base=32, groups=8,
                                                   min_depths=[2, 2, 2, 2], max_depths=[2, 3, 6, 2], n_local=4,
                                                   **TINY_HEADS)))


def mask_count(cfg):
    """Places of a global crop that can be masked: patches, or cells of the last map times region_scale."""
    if cfg["arch"] == "vit":
        return (cfg["img_size"] // cfg["patch_size"]) ** 2
    return (cfg["img_size"] // 32 * cfg["region_scale"]) ** 2


def to_choice(cfg, text):
    """The choice written as e.g. 256x9 or 1x2x3x4x2, as poa_torch wants it."""
    first, *rest = (int(x) for x in text.split("x"))
    choice = (first, tuple(rest)) if cfg["arch"] == "resnet" else (first, *rest)
    if choice not in T.networks(cfg):
        raise SystemExit(f"no network of this supernet: {text}")
    return choice


def choice_text(choice):
    return "x".join(str(x) for x in (choice[0], *(choice[1] if isinstance(choice[1], tuple) else choice[1:])))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("config", choices=CONFIGS)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--steps", type=int, default=5)
    ap.add_argument("--warmup", type=int, default=1, help="with --elastic: 0, or one step of each choice")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--batch", type=int)
    ap.add_argument("--local-crops", type=int)
    ap.add_argument("--elastic", help="fixed choice, e.g. 256x9, or several, e.g. 256x9,192x12")
    ap.add_argument("--no-ibot", action="store_true")
    ap.add_argument("--foreach", action="store_true", help="AdamW by _foreach operators")
    ap.add_argument("--no-sdpa", action="store_true", help="spelled-out attention even where the fused operator exists")
    ap.add_argument("--bf16", action="store_true", help="bfloat16 autocast")
    ap.add_argument("--compile", action="store_true", help="torch.compile the ViT block and the heads (PyTorch 2)")
    ap.add_argument("--device", default="cpu")
    ap.add_argument("--json", action="store_true", help="one line of JSON in place of text")
    ap.add_argument("--profile", action="store_true", help="operator table of one more step")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    spec = CONFIGS[a.config]
    cfg = T.make_cfg(**spec["cfg"])
    if a.local_crops is not None:
        cfg["n_local"] = a.local_crops
    B, dev = a.batch or spec["batch"], torch.device(a.device)
    if a.no_sdpa:
        T.USE_SDPA = False
    if a.compile:
        if not hasattr(torch, "compile"):
            raise SystemExit("this PyTorch has no torch.compile")
        torch._dynamo.config.cache_size_limit = 256          # one entry per width, token count and grad mode
        T.vit_block, T.head = torch.compile(T.vit_block), torch.compile(T.head)
    gen = torch.Generator().manual_seed(a.seed)
    torch.manual_seed(a.seed)
    student = {k: v.to(dev) for k, v in T.init_params(cfg, gen).items()}
    teacher = {k: v.clone() for k, v in student.items()}
    opt = T.AdamW(cfg, student, foreach=a.foreach)
    batch = {k: v.to(dev) for k, v in T.make_batch(cfg, B, spec["local"], gen, mask_count(cfg)).items()}
    deck = T.ElasticSampler(cfg, a.seed)
    amp = torch.autocast(dev.type, dtype=torch.bfloat16) if a.bf16 else None
    sync = torch.cuda.synchronize if dev.type == "cuda" else (lambda: None)
    say = (lambda *_, **__: None) if a.json else print
    say(f"{a.config}: PyTorch {torch.__version__}, {dev}, {a.threads} threads, "
        f"{sum(v.numel() for v in student.values()) / 1e6:.1f} M weights, batch {B}, 2 x {cfg['img_size']} + "
        f"{cfg['n_local']} x {spec['local']} px, {len(batch['mask_indices'])} masked patches, "
        f"{'bf16 autocast' if a.bf16 else 'float32'}{', compiled' if a.compile else ''}", flush=True)

    def step(choice):
        phases, t0 = {}, time.perf_counter()
        last = [t0]

        def mark(name):
            sync()
            now = time.perf_counter()
            phases[name], last[0] = now - last[0], now
        r = T.train_step(student, teacher, opt, cfg, batch, choice, 0.05, 1e-4, 0.04, 0.996,
                         activate_ibot=not a.no_ibot, autocast=amp, on_phase=mark)
        sync()
        return time.perf_counter() - t0, phases, float(r["total"])

    fixed = [to_choice(cfg, c) for c in a.elastic.split(",")] if a.elastic else []
    drawn = itertools.cycle(fixed) if fixed else iter(deck.next, None)
    warmups = [T.networks(cfg)[-2]] * a.warmup                                       # the largest first: memory
    if fixed and a.warmup:
        warmups = sorted(set(fixed), reverse=True)          # libraries prepare something for every new size of tensor
    times, all_phases = [], []
    for i in range(len(warmups) + a.steps):
        choice = warmups[i] if i < len(warmups) else next(drawn)
        t, ph, loss = step(choice)
        say(f"  {'warmup' if i < len(warmups) else 'step'} {choice_text(choice)}: {t:.3f} s, loss {loss:.4f}  ("
            + " ".join(f"{k} {v:.2f}" for k, v in ph.items() if v > 0.005) + ")", flush=True)
        if i >= len(warmups):
            times.append(t)
            all_phases.append(ph)
    med, peak = statistics.median(times), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    say(f"median {med:.3f} s/step, mean {statistics.mean(times):.3f}, min {min(times):.3f}, max {max(times):.3f}; "
        f"{B / med:.2f} images/s; peak RSS {peak / 1024:.0f} MiB; wait policy {os.environ['OMP_WAIT_POLICY']}")
    mid = {k: statistics.median(p[k] for p in all_phases) for k in all_phases[0]}
    say("phases (median s): " + ", ".join(f"{k} {v:.3f}" for k, v in mid.items()))
    if a.json:
        print(json.dumps(dict(median=med, seconds=times, peak_resident_bytes=peak * 1024, phases=mid)))
    if a.profile:
        from torch.profiler import ProfilerActivity, profile
        choice = fixed[0] if fixed else T.networks(cfg)[len(T.networks(cfg)) // 2]
        with profile(activities=[ProfilerActivity.CPU]) as prof:
            t, _, _ = step(choice)
        print(f"profiled step {choice_text(choice)}: {t:.3f} s")
        print(prof.key_averages().table(sort_by="self_cpu_time_total", row_limit=22, max_name_column_width=44))


if __name__ == "__main__":
    main()
