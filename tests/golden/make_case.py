"""Records training steps of a PyTorch implementation, for `poa replay`.

    make_case.py PEER_FOLDER OUT_FOLDER [NAME ..]

PEER_FOLDER holds poa_torch.py. Inputs and weights are float32 numbers; the step is computed from
them in float64 and rounded once. Each case is small and unlike the others, so that together they
reach what vit_a and vit_b do not: odd sizes, switched-off losses, both kinds of targets.
"""

import json
import math
import os
import sys

import torch

sys.path.insert(0, sys.argv[1])
import poa_torch as peer  # noqa: E402

SMALL = dict(img_size=16, patch_size=4, head_dim=8, min_width=8, max_width=24, min_depth=1,
             max_depth=3, n_local=2, prototypes=[16], head_hidden=24, head_bottleneck=8,
             clip_grad=1.0)
STEP = dict(teacher_temp=0.05, lr=0.01, last_layer_lr=0.008, weight_decay=0.1, momentum=0.95,
            activate_ibot=True, adam_step0=10, adam_m0=0.001, adam_v0=1e-6)
# batch, local: batch size, size of local crops; masked: how many patches of which crop
CASES = dict(
    vit_odd=dict(batch=3, local=21, choice=(24, 1), masked={0: 1, 4: 4}, img_size=14, in_chans=1,
                 head_dim=12, min_width=12, max_width=36, max_depth=2, mlp_ratio=3, layerscale=0,
                 n_local=3, prototypes=[17, 9, 33], head_hidden=21, head_bottleneck=7, clip_grad=0),
    vit_centering=dict(batch=4, local=8, choice=(8, 3), masked={1: 2, 2: 8, 5: 5, 7: 3},
                       centering="centering", center_momentum=0.8, ibot_weight=0.5,
                       patch_embed_lr_mult=1.0),
    vit_no_local=dict(batch=2, local=8, choice=(24, 3), masked={3: 6}, n_local=0, koleo_weight=0,
                      layer_decay=1.0, mlp_ratio=2, beta1=0.8, beta2=0.95, eps=1e-6),
    vit_no_masks=dict(batch=5, local=20, choice=(8, 1), masked={2: 3}, centering="centering",
                      lambda_ie=0.0, koleo_weight=0, step=dict(activate_ibot=False)),
    vit_one_mask=dict(batch=1, local=12, choice=(16, 2), masked={1: 1}, img_size=19, patch_size=5,
                      sinkhorn_iters=5, ln_eps=1e-5, student_temp=0.2, distill_temp=0.07,
                      n_local=1, prototypes=[5, 31],
                      step=dict(teacher_temp=0.04, weight_decay=0, momentum=0.5)),
    vit_one_point=dict(batch=2, local=8, choice=(64, 1), masked={0: 8, 3: 2}, head_dim=64,
                       min_width=64, max_width=64, max_depth=1, mlp_ratio=1, ibot_weight=0,
                       dino_weight=0.7))


def made_up(name, shape, gen):
    """Values of the size that a trained network's have, none of them special."""
    noise = torch.randn(shape, generator=gen)
    if "gamma" in name:
        return 0.5 + 0.1 * noise
    if name.endswith("weight_g") or "norm" in name and name.endswith("weight"):
        return 1 + 0.2 * noise
    if name.endswith("bias"):
        return 0.1 * noise
    if name in ("cls_token", "pos_embed", "mask_token"):
        return 0.4 * noise
    return 0.8 * noise / math.sqrt(math.prod(shape[1:]))


def made_up_images(count, channels, size, gen):
    """Each with a brightness and contrast of its own, so that nearest neighbours are clear."""
    contrast = 0.5 + torch.rand(count, channels, 1, 1, generator=gen)
    brightness = torch.randn(count, channels, 1, 1, generator=gen)
    return torch.randn(count, channels, size, size, generator=gen) * contrast + brightness


def made_up_inputs(cfg, batch, local, masked, gen):
    patches = (cfg["img_size"] // cfg["patch_size"]) ** 2
    masks = torch.zeros(2 * batch, patches, dtype=torch.bool)
    for crop, count in masked.items():
        masks[crop, torch.randperm(patches, generator=gen)[:count]] = True
    return dict(
        global_crops=made_up_images(2 * batch, cfg["in_chans"], cfg["img_size"], gen),
        local_crops=made_up_images(cfg["n_local"] * batch, cfg["in_chans"], local, gen),
        **peer.mask_info(masks),
    )


def neighbours_are_clear(features):
    """The KoLeo term jumps where the nearest neighbour changes."""
    for x in features.detach().chunk(2):
        x = torch.nn.functional.normalize(x, dim=-1)
        nearest = (x @ x.t()).fill_diagonal_(-1).sort(dim=1, descending=True).values
        if len(x) > 2 and float((nearest[:, 0] - nearest[:, 1]).min()) < 1e-3:
            return False
    return True


def doubles(tensors):
    return {k: v.double() if v.is_floating_point() else v.clone() for k, v in tensors.items()}


def prefixed(prefix, tensors):
    return {f"{prefix}.{k}": v for k, v in tensors.items()}


def made_up_state(cfg, batch, local, masked, gen):
    """-> student, teacher, inputs, centers, all float32"""
    student = {k: made_up(k, shape, gen) for k, shape in peer.param_shapes(cfg).items()}
    teacher = {k: v + 0.2 * v.std(unbiased=False) * torch.randn(v.shape, generator=gen)
               for k, v in student.items()}
    centers = {f"{kind}.{i}": 0.1 * torch.randn(1, k, generator=gen)
               for kind in ("dino", "ibot") for i, k in enumerate(cfg["prototypes"])}
    inputs = made_up_inputs(cfg, batch, local, masked, gen)
    return student, teacher, inputs, centers if cfg["centering"] == "centering" else {}


def extracted(teacher, cfg, choice, inputs):
    """Class features of the sub-network as a plain ViT."""
    plain, _ = peer.extract(teacher, cfg, choice)
    features = lambda x: peer.plain_vit(plain, x, cfg["patch_size"], cfg["head_dim"], cfg["ln_eps"])
    return {f"extract.cls_{k}": features(inputs[f"{k}_crops"])[0]
            for k in ("global", "local") if len(inputs[f"{k}_crops"])}


def take_step(state, cfg, choice, step):
    """Changes `state`. -> what train_step returns, features and logits of the branches"""
    student, teacher, inputs, centers = state
    mid = {}
    adam = peer.AdamW(cfg, student, step["adam_m0"], step["adam_v0"], step["adam_step0"])
    done = peer.train_step(student, teacher, adam, cfg, inputs, choice, step["teacher_temp"],
                           step["lr"], step["weight_decay"], step["momentum"],
                           step["last_layer_lr"], step["activate_ibot"], centers, mid,
                           keep_grads=True)
    return done, mid


def results(done, mid, student):
    """-> tensors, scalars"""
    scalars = {"loss.total": done["total"], **prefixed("loss", done["terms"]),
               **{f"clip.norm_{k}": v for k, v in done["norms"].items()}}
    assert all(math.isfinite(v) for v in scalars.values()), scalars
    out = {k: v.reshape(1) for k, v in scalars.items()}
    for kind, targets in zip(("dino", "ibot"), done["targets"]):
        out.update(prefixed(f"target.{kind}", dict(enumerate(targets))))
    for name, branch in mid.items():
        logits = dict(enumerate(branch.pop("logits")))
        out.update({**prefixed(f"mid.{name}", branch), **prefixed(f"mid.{name}.logits", logits)})
    for k, g in done["grads"].items():
        out[f"grad.{k}"] = torch.zeros_like(student[k]) if g is None else g
    return out, {k: float(v) for k, v in scalars.items()}


def record(name, batch, local, masked, choice, seed, step=(), **config):
    """-> tensors and metadata of one step, or None where this seed comes close to a jump."""
    cfg, step = peer.make_cfg("vit", **{**SMALL, **config}), {**STEP, **dict(step)}
    gen = torch.Generator().manual_seed(seed)
    state = made_up_state(cfg, batch, local, masked, gen)
    out = {}
    for prefix, tensors in zip(("student", "teacher", "in", "center"), state):
        out.update(prefixed(prefix, tensors))
    student, teacher, inputs, centers = state = [doubles(tensors) for tensors in state]
    out.update(extracted(teacher, cfg, choice, inputs))
    done, mid = take_step(state, cfg, choice, step)
    if cfg["koleo_weight"] and not all(neighbours_are_clear(mid[branch]["cls_global"])
                                       for branch in ("intact", "elastic")):
        return None
    tensors, scalars = results(done, mid, student)
    out.update({**tensors, **prefixed("new_student", student), **prefixed("new_teacher", teacher),
                **prefixed("new_center", centers)})
    untouched = [k for k, g in done["grads"].items() if g is None]
    meta = dict(case=name, kind="train_step", batch_size=batch, config=cfg, choice=choice,
                step=step, scalars=scalars, zero_gradient=untouched)
    types = {torch.float64: torch.float32, torch.bool: torch.uint8}
    return {k: v.detach().to(types.get(v.dtype, v.dtype)) for k, v in out.items()}, meta


def main():
    torch.set_num_threads(1)
    for name in sys.argv[3:] or CASES:
        made = next(filter(None, (record(name, seed=seed, **CASES[name]) for seed in range(100))))
        peer.save_safetensors(os.path.join(sys.argv[2], name + ".safetensors"), *made)


main()
