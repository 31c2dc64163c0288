"""Records further training steps of the PyTorch peer as golden cases.

    make_map_cases.py PEER_FOLDER OUT_FOLDER [NAME ..]     writes NAME.safetensors (default: all)
    make_map_cases.py PEER_FOLDER --check CASE.safetensors ..

PEER_FOLDER holds poa_torch.py.  The files have the keys and metadata of the golden cases (their README.md says what
is what).  Inputs and weights are exact float32 numbers; everything else is computed from them in float64 and rounded
once.  --check recomputes the results of existing files from their inputs and weights and compares all of them.

A case keeps clear of jumps: nearest neighbours of the KoLeo term lead by 1e-3, no ReLU input of the student is closer
to zero than 1e-5 (biases before a ReLU are moved a little to reach that), and in no window of the max pooling the
second value comes within 1e-5 of the first.
"""
import json
import math
import os
import sys

import torch

sys.path.insert(0, sys.argv[1])
import poa_torch as peer  # noqa: E402

NOTE = "results computed in float64 from the stored float32 inputs and weights, rounded once to float32"
SMALL = dict(prototypes=[32, 48], head_hidden=24, head_bottleneck=16, n_local=2)
STEP = dict(teacher_temp=0.05, lr=0.01, last_layer_lr=0.008, weight_decay=0.1, momentum=0.95, activate_ibot=True,
            adam_step0=10, adam_m0=0.001, adam_v0=1e-6)
# batch, local: batch size, size of local crops; masked: how many regions of which global crop
CASES = dict(
    # Global maps 14 7 4 2, local 7 4 2 1: odd at a merging, no multiples of the window.  The peer cannot mask here (a
    # mask of whole cells does not fit a 14 x 14 map), so the masked-patch loss is off; swin_e has it.
    swin_b=dict(arch="swin", batch=2, local=28, choice=(24, 2), masked={0: 3, 3: 5}, img_size=56, window=7, head_dim=8,
                min_width=16, max_width=32, max_depths=[1, 2, 3, 1], min_depth=2, clip_grad=2.0,
                step=dict(activate_ibot=False)),
    swin_c=dict(arch="swin", batch=4, local=16, choice=(12, 2), masked={1: 2, 6: 1}, img_size=32, window=4, head_dim=4,
                min_width=4, max_width=12, max_depths=[1, 2, 2, 2], min_depth=1, clip_grad=6.0,
                centering="centering", step=dict(activate_ibot=False)),
    # Odd window: shift 1 of 3.  Global maps 16 8 4 2, local 10 5 3 2.
    swin_d=dict(arch="swin", batch=3, local=40, choice=(12, 2), masked={0: 17, 2: 6, 5: 31}, img_size=64, window=3,
                head_dim=6, min_width=6, max_width=18, max_depths=[2, 1, 4, 2], min_depth=1, region_scale=4,
                n_local=3, clip_grad=0.5),
    # Masks on maps that are no multiple of the window (24 12 6 3; local 10 5 3 2), centering, no mask in most crops.
    swin_e=dict(arch="swin", batch=2, local=40, choice=(8, 1), masked={1: 7, 2: 18}, img_size=96, window=7, head_dim=8,
                min_width=8, max_width=24, max_depths=[2, 2, 3, 2], min_depth=1, clip_grad=0.0,
                centering="centering", center_momentum=0.8),
    # One window per map, one point of the lattice, one image.
    swin_f=dict(arch="swin", batch=1, local=20, choice=(8, 1), masked={1: 3}, img_size=32, window=8, head_dim=8,
                min_width=8, max_width=8, max_depths=[1, 1, 1, 1], min_depth=1, mlp_ratio=3, region_scale=8,
                koleo_weight=0, n_local=1, in_chans=1),
    resnet_b=dict(arch="resnet", batch=3, local=48, choice=(0, (2, 1, 2, 1)), masked={0: 4, 2: 18, 4: 9}, img_size=96,
                  stem=16, base=8, groups=4, min_depths=[1, 1, 1, 1], max_depths=[2, 2, 2, 2], clip_grad=1.0),
    resnet_c=dict(arch="resnet", batch=4, local=32, choice=(4, (1, 2, 1, 2)), masked={0: 8, 3: 21, 5: 32, 6: 3},
                  img_size=64, stem=8, base=8, groups=2, min_depths=[1, 1, 1, 1], max_depths=[1, 2, 1, 2],
                  region_scale=4, strides=[1, 2, 2, 2], centering="centering", clip_grad=3.0),
    # Global maps 36 18 | 18 9 5 3, local 20 10 | 10 5 3 2.  No masks, for the same reason as in swin_b.
    resnet_d=dict(arch="resnet", batch=2, local=40, choice=(2, (1, 2, 2, 1)), masked={1: 11, 2: 4}, img_size=72,
                  stem=6, base=4, groups=2, min_depths=[1, 1, 1, 1], max_depths=[2, 2, 3, 1], clip_grad=0.0,
                  step=dict(activate_ibot=False)),
    # Odd local maps beside masks; the first stage needs no projection in its shortcut.
    resnet_e=dict(arch="resnet", batch=3, local=40, choice=(0, (1, 1, 3, 2)), masked={1: 5, 3: 8, 5: 2}, img_size=64,
                  stem=16, base=4, groups=4, min_depths=[1, 1, 2, 1], max_depths=[2, 1, 4, 2], clip_grad=2.0,
                  n_local=3, in_chans=1))


# ------------------------------------------------------------------------------------------------- made-up weights
def is_norm(name):
    return any(s in name for s in ("norm", "gn1", "gn2", "gn3", "downsample.1"))


def made_up(name, shape, gen):
    """Values of the size that those of the recorded cases have; nothing is 0 or 1."""
    noise = torch.randn(shape, generator=gen)
    if name.endswith("weight_g"):
        return 1 + 0.1 * noise
    if name.endswith("bias"):
        return 0.1 * noise
    if is_norm(name):
        return 1 + 0.2 * noise
    if name.endswith(("token", "relative_position_bias_table")):
        return 0.4 * noise
    return 0.8 * noise / math.sqrt(math.prod(shape[1:]))


def made_up_teacher(student, gen):
    """Each weight differs by a sixth of its tensor's size."""
    return {k: v + 0.16 * v.square().mean().sqrt() * torch.randn(v.shape, generator=gen) for k, v in student.items()}


def made_up_images(count, channels, size, gen):
    """Smooth noise and a little white noise, each image with a contrast and a brightness of its own."""
    coarse = torch.randn(count, channels, size // 8 + 2, size // 8 + 2, generator=gen)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)
    contrast = 0.5 + torch.rand(count, channels, 1, 1, generator=gen)
    brightness = 0.7 * torch.randn(count, channels, 1, 1, generator=gen)
    return (1.5 * smooth + 0.3 * torch.randn(smooth.shape, generator=gen)) * contrast + brightness


def regions(cfg):
    """Regions of a global crop: cells of the last map, each repeated region_scale times in both directions."""
    size = cfg["img_size"] // 4 if cfg["arch"] == "swin" else -(-cfg["img_size"] // 4)
    for _ in range(3):
        size = -(-size // 2)
    return (size * cfg["region_scale"]) ** 2


def made_up_inputs(cfg, batch, local, masked, gen):
    masks = torch.zeros(2 * batch, regions(cfg), dtype=torch.bool)
    for crop, count in masked.items():
        masks[crop, torch.randperm(masks.shape[1], generator=gen)[:count]] = True
    return dict(global_crops=made_up_images(2 * batch, cfg["in_chans"], cfg["img_size"], gen),
                local_crops=made_up_images(cfg["n_local"] * batch, cfg["in_chans"], local, gen),
                **peer.mask_info(masks))


# ---------------------------------------------------------------------------------------------------- clear of jumps
def neighbours_are_clear(features):
    """The KoLeo term jumps where the nearest neighbour changes."""
    for x in features.chunk(2):
        x = torch.nn.functional.normalize(x, dim=-1)
        nearest = (x @ x.t()).fill_diagonal_(-1).sort(dim=1, descending=True).values
        if len(x) > 2 and float((nearest[:, 0] - nearest[:, 1]).min()) < 1e-3:
            return False
    return True


class Watch:
    """Stands in for torch.nn.functional inside the peer and keeps the inputs of ReLU and max pooling."""

    def __init__(self):
        self.relu_inputs, self.pooled = [], []

    def __getattr__(self, name):
        return getattr(torch.nn.functional, name)

    def relu(self, x):
        self.relu_inputs.append(x)
        return torch.relu(x)

    def max_pool2d(self, x, *args):
        self.pooled.append(x)
        return torch.nn.functional.max_pool2d(x, *args)


def watched_student(student, cfg, inputs, choice, masking):
    """-> for each of the student's four forward passes, a Watch."""
    passes = []
    masks = inputs["masks"] if masking else None
    for c in (peer.largest(cfg), choice):
        for images, m in ((inputs["global_crops"], masks), (inputs["local_crops"], None)):
            watch = peer.F = Watch()
            with torch.no_grad():
                peer.FORWARD[cfg["arch"]](student, cfg, images, c, m)
            peer.F = torch.nn.functional
            passes.append(watch)
    return passes


def biases_before_relu(cfg, choice):
    """Names of the biases added right before each ReLU, in the order of their use."""
    names = ["gn1.bias"]
    for stage, depth in enumerate(choice[1]):
        for i in peer.block_ids(depth, cfg["max_depths"][stage]):
            names += [f"layer{stage + 1}.{i}.gn{n}.bias" for n in (1, 2, 3)]
    return names


def move_bias(bias, columns, margin):
    """Moves each channel's float32 bias by as little as makes all its ReLU inputs (1-D, one per channel) clear."""
    for c, values in enumerate(columns):
        if float(values.abs().min()) > margin:
            continue
        edges = values[values.abs() < 0.05].sort().values
        gap, middle = edges.diff(), (edges[1:] + edges[:-1]) / 2
        wide = middle[gap > 2.5 * margin]
        if len(wide):
            bias[c] -= wide[wide.abs().argmin()].float()


def clear_relus(student, cfg, inputs, choice, masking, margin):
    """Moves biases, from the first ReLU to the last.  Changes the float32 `student`."""
    if cfg["arch"] != "resnet":
        return
    used = [biases_before_relu(cfg, c) for c in (peer.largest(cfg), choice) for _ in range(2)]
    inputs = doubles(inputs)
    for name in used[0]:
        passes = watched_student(doubles(student), cfg, inputs, choice, masking)
        maps = [w.relu_inputs[names.index(name)] for w, names in zip(passes, used) if name in names]
        columns = [torch.cat([m[:, c].flatten() for m in maps if c < m.shape[1]])
                   for c in range(max(m.shape[1] for m in maps))]
        move_bias(student[name], columns, margin)


def relus_and_pools_are_clear(student, cfg, inputs, choice, masking):
    for watch in watched_student(student, cfg, inputs, choice, masking) if cfg["arch"] == "resnet" else ():
        if min(float(x.abs().min()) for x in watch.relu_inputs) < 1e-5:
            return False
        for x in watch.pooled:
            x = torch.nn.functional.pad(x, (1, 1, 1, 1), value=0.0)   # inputs are not negative: padding never leads
            two = x.unfold(2, 3, 2).unfold(3, 3, 2).flatten(4).topk(2, dim=-1).values
            if float((two[..., 0] - two[..., 1])[two[..., 0] > 0].min()) < 1e-5:
                return False
    return True


# ------------------------------------------------------------------------------------------------------------ a step
def doubles(tensors):
    return {k: v.double() if v.is_floating_point() else v.clone() for k, v in tensors.items()}


def exact_inputs(inputs):
    """Weights of masked patches as 1 / count in float64, as the recorded cases were computed; stored rounded."""
    return {**inputs, **peer.mask_info(inputs["masks"].bool(), torch.float64)}


def prefixed(prefix, tensors):
    return {f"{prefix}.{k}": v for k, v in tensors.items()}


def extracted(teacher, cfg, choice, inputs):
    """Class features of the sub-network on its own."""
    plain, plain_cfg = peer.extract(teacher, cfg, choice)
    if cfg["arch"] == "vit":
        features = lambda x: peer.plain_vit(plain, x, cfg["patch_size"], cfg["head_dim"], cfg["ln_eps"])
    else:
        features = lambda x: peer.FORWARD[cfg["arch"]](plain, plain_cfg, x, choice)
    return {f"extract.cls_{k}": features(inputs[f"{k}_crops"])[0] for k in ("global", "local")}


def results(state, cfg, choice, step, keep_patches):
    """Takes the step; changes `state`, which is (student, teacher, inputs, centers) in one precision.
    -> tensors, scalars, names of the weights left alone, class features of the students"""
    student, teacher, inputs, centers = state
    extracts = extracted(teacher, cfg, choice, inputs)
    mid = {}
    adam = peer.AdamW(cfg, student, step["adam_m0"], step["adam_v0"], step["adam_step0"])
    done = peer.train_step(student, teacher, adam, cfg, inputs, choice, step["teacher_temp"], step["lr"],
                           step["weight_decay"], step["momentum"], step["last_layer_lr"], step["activate_ibot"],
                           centers, mid, keep_grads=True)
    scalars = {"loss.total": done["total"], **prefixed("loss", done["terms"]),
               **{f"clip.norm_{k}": v for k, v in done["norms"].items()}}
    assert all(math.isfinite(v) for v in scalars.values()), scalars
    out = {k: v.reshape(1) for k, v in scalars.items()}
    for kind, targets in zip(("dino", "ibot"), done["targets"]):
        out.update(prefixed(f"target.{kind}", dict(enumerate(targets))))
    for branch, kept in mid.items():
        for key in ("cls_global", "cls_local", "patch"):
            if key in kept and (key != "patch" or keep_patches):
                out[f"mid.{branch}.{key}"] = kept[key]
        out.update(prefixed(f"mid.{branch}.logits", dict(enumerate(kept["logits"]))))
    out.update(extracts)
    for k, g in done["grads"].items():
        out[f"grad.{k}"] = torch.zeros_like(student[k]) if g is None else g
    out.update({**prefixed("new_student", student), **prefixed("new_teacher", teacher),
                **prefixed("new_center", centers)})
    untouched = [k for k, g in done["grads"].items() if g is None]
    features = [mid[b]["cls_global"].detach() for b in ("intact", "elastic")]
    return out, {k: float(v) for k, v in scalars.items()}, untouched, features


def deviation(a, b):
    largest = float(b.abs().max())
    return float((a.double() - b.double()).abs().max()) / (largest or 1.0)


def one_rounding(tensors, gen):
    """Each float32 number becomes its lower or upper neighbour."""
    up = lambda v: torch.where(torch.rand(v.shape, generator=gen) < 0.5, torch.tensor(torch.inf), -torch.inf)
    return {k: torch.nextafter(v, up(v)) for k, v in tensors.items()}


def float32_deviations(state, cfg, choice, step, exact):
    """The largest deviation of each kind in four float32 runs: plain, and with the weights moved by one rounding."""
    kinds = ["loss", "clip.norm_backbone", "clip.norm_head", "target", "mid.teacher", "mid.intact", "mid.elastic",
             "extract", "grad", "new_student", "new_teacher"] + (["new_center"] if state[3] else [])
    found, gen = dict.fromkeys(kinds, 0.0), torch.Generator().manual_seed(1)
    for run in range(4):
        copy = [{k: v.clone() for k, v in part.items()} for part in state]
        if run:
            copy[0], copy[1] = one_rounding(copy[0], gen), one_rounding(copy[1], gen)
        out = results(copy, cfg, choice, step, True)[0]
        for k, v in out.items():
            kind = next(n for n in kinds if k.startswith(n))
            if k in exact:
                found[kind] = max(found[kind], deviation(v.detach(), exact[k].detach()))
    return {k: float(f"{v:.1e}") for k, v in found.items()}


def record(name, arch, batch, local, masked, choice, seed, step=(), **config):
    """-> tensors and metadata of one step, or a sentence where this seed comes close to a jump."""
    cfg, step = peer.make_cfg(arch, **{**SMALL, **config}), {**STEP, **dict(step)}
    gen = torch.Generator().manual_seed(seed)
    masking = step["activate_ibot"]
    student = {k: made_up(k, shape, gen) for k, shape in peer.param_shapes(cfg).items()}
    teacher = made_up_teacher(student, gen)
    inputs = made_up_inputs(cfg, batch, local, masked, gen)
    centers = {f"{kind}.{i}": 0.1 * torch.randn(1, k, generator=gen)
               for kind in ("dino", "ibot") for i, k in enumerate(cfg["prototypes"])}
    if cfg["centering"] != "centering":
        centers = {}
    clear_relus(student, cfg, inputs, choice, masking, 1.2e-5)
    state = [student, teacher, inputs, centers]
    out = {}
    for prefix, tensors in zip(("in", "student", "teacher", "center"), (inputs, student, teacher, centers)):
        out.update(prefixed(prefix, tensors))
    exact_state = [doubles(student), doubles(teacher), exact_inputs(doubles(inputs)), doubles(centers)]
    if not relus_and_pools_are_clear(exact_state[0], cfg, exact_state[2], choice, masking):
        return "a ReLU or a max pooling is close to a jump"
    exact, scalars, untouched, features = results(exact_state, cfg, choice, step, True)
    if cfg["koleo_weight"] and not all(map(neighbours_are_clear, features)):
        return "nearest neighbours are close"
    meta = dict(case=name, kind="train_step", note=NOTE, batch_size=batch, config=cfg, choice=choice, step=step,
                scalars=scalars, zero_gradient=untouched,
                float32_deviation=float32_deviations(state, cfg, choice, step, exact))
    types = {torch.float64: torch.float32, torch.bool: torch.uint8}
    return {k: v.detach().to(types.get(v.dtype, v.dtype)) for k, v in {**out, **exact}.items()}, meta


# ------------------------------------------------------------------------------------------------------------- check
def check(path):
    """Recomputes a file's results and compares keys, their order, metadata and numbers.  -> whether all agree"""
    stored, meta = peer.load_safetensors(path)
    cfg, step, choice = (json.loads(meta[k]) for k in ("config", "step", "choice"))
    choice = tuple(tuple(c) if isinstance(c, list) else c for c in choice)
    part = lambda prefix: {k[len(prefix):]: v.clone() for k, v in stored.items() if k.startswith(prefix)}
    state = [doubles(part(p)) for p in ("student.", "teacher.", "in.", "center.")]
    state[2] = exact_inputs(state[2])
    given = [k for k in stored if k.startswith(("student.", "teacher.", "in.", "center."))]
    out, scalars, untouched, _ = results(state, cfg, choice, step, "mid.teacher.patch" in stored)
    good = given + list(out) == list(stored)
    if not good:
        a, b = set(given + list(out)), set(stored)
        print(f"  keys differ: {sorted(a - b)[:5]} {sorted(b - a)[:5]}" if a != b else "  the order of keys differs")
    worst = {}
    for k in out.keys() & stored.keys():
        assert out[k].shape == stored[k].shape, (k, out[k].shape, stored[k].shape)
        kind = k.split(".")[0]
        worst[kind] = max(worst.get(kind, 0), deviation(out[k].detach(), stored[k]))
    theirs = json.loads(meta["scalars"])
    scalar = max(abs(scalars[k] - theirs[k]) / abs(theirs[k]) for k in theirs)
    good &= max(worst.values()) < 1e-6 and scalar < 1e-10 and untouched == json.loads(meta["zero_gradient"])
    good &= list(scalars) == list(theirs)
    print(f"{os.path.basename(path)}: {'ok' if good else 'DIFFERS'}, scalars {scalar:.1e}, "
          + ", ".join(f"{k} {v:.1e}" for k, v in worst.items()))
    return good


def main():
    torch.set_num_threads(1)
    if sys.argv[2] == "--check":
        sys.exit(not all([check(path) for path in sys.argv[3:]]))
    for name in sys.argv[3:] or CASES:
        for seed in range(100):
            made = record(name, seed=seed, **CASES[name])
            if not isinstance(made, str):
                break
            print(f"{name}: seed {seed}: {made}", flush=True)
        path = os.path.join(sys.argv[2], name + ".safetensors")
        peer.save_safetensors(path, *made)
        print(f"{name}: seed {seed}, {os.path.getsize(path) / 1e6:.1f} MB, clip norms "
              f"{made[1]['scalars']['clip.norm_backbone']:.2f} {made[1]['scalars']['clip.norm_head']:.2f}, "
              f"loss {made[1]['scalars']['loss.total']:.2f}\n  float32: {made[1]['float32_deviation']}", flush=True)


main()
