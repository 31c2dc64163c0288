"""Trains the recipe `fashion` in PyTorch, on the same data, crops, masks and schedule as `poa train fashion`,
and judges what came out.

  train_fashion.py DATA --recipe models/fashion.poa --seconds 150 [--marks 5] [--threads 2] [--limit N]
  train_fashion.py DATA --recipe models/fashion.poa --rate       prints steps per second, as JSON

The schedule is as long as fits into the time: the rate is found by some steps that are thrown away. Crops and
masks are made by another process ahead of need. At each mark the teacher is set aside; accuracy is found after
the end, and the clock runs for training alone: from the first step's beginning, with all libraries loaded."""
import argparse
import gzip
import json
import multiprocessing
import os
import pathlib
import statistics
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np  # noqa: E402

import crops  # noqa: E402
from recipe import constants  # noqa: E402

AHEAD = 8           # batches that wait
TRIAL = 24          # steps to find the rate, after as many as there are networks


def read_idx(folder, name):
    """As bytes, from `name` or `name`.gz."""
    plain = pathlib.Path(folder) / name
    data = plain.read_bytes() if plain.exists() else gzip.open(f"{plain}.gz").read()
    rank = data[3]
    shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(rank)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def batches(c, images, mean, deviation, seed):
    random = np.random.default_rng(seed)
    b, order = c["batch_size"], []
    while True:
        if len(order) < b:
            order = list(order) + list(random.permutation(len(images)))
        chosen, order = order[:b], order[b:]
        pixels = images[chosen].astype(np.float32) / 255
        view = lambda count, size, low, high: ((crops.views(random, pixels, count, size, low, high, c["crop_flip"],
                                                            c["crop_jitter"]) - mean) / deviation).astype(np.float32)
        yield (view(2, c["img_size"], c["global_scale_min"], 1),
               view(c["n_local"], c["local_size"], c["local_scale_min"], c["global_scale_min"]),
               crops.block_masks(random, 2 * b, c["grid_size"], c["mask_probability"], c["mask_ratio_min"],
                                 c["mask_ratio_max"]))


def feed(queue, *arguments):
    for batch in batches(*arguments):
        queue.put(batch)


def start_feeding(*arguments):
    """On one thread that does not spin: else it and PyTorch's threads would hold each other up."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue(AHEAD)
    alone = dict(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
    before = {name: os.environ.get(name) for name in alone}
    os.environ.update(alone)
    context.Process(target=feed, args=(queue, *arguments), daemon=True).start()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    return queue


def make_cfg(T, c):
    names = set(T.COMMON) | set(T.ARCH["vit"])
    return T.make_cfg("vit", **{name: c[name] for name in names if name in c})


class Trainer:
    def __init__(self, T, torch, c, cfg, seed, steps):
        self.T, self.torch, self.c, self.cfg = T, torch, c, cfg
        generator = torch.Generator().manual_seed(seed)
        self.student = T.init_params(cfg, generator)
        self.teacher = {k: v.clone() for k, v in self.student.items()}
        self.optimizer = T.AdamW(cfg, self.student)
        self.deck = T.ElasticSampler(cfg, seed)
        epoch, stretch = c["steps_per_epoch"], c["iter_num_scale"]
        warmup = min(c["warmup_epochs"] * epoch, steps)
        rates = dict(base=c["base_lr"] * (c["batch_size"] / 1024) ** 0.5, final=c["final_lr"], total=steps,
                     warmup=warmup, stretch=stretch)
        self.rate = T.cosine_schedule(**rates)
        self.last_rate = self.rate.copy()
        self.last_rate[:c["freeze_last_layer"] * epoch] = 0
        self.decay = T.cosine_schedule(c["weight_decay_start"], c["weight_decay_end"], steps, stretch=stretch)
        self.momentum = T.cosine_schedule(c["momentum_start"], c["momentum_end"], steps)
        warm = c["temp_warmup_epochs"] * epoch
        self.temperature = np.full(steps, float(c["temp_end"]))
        self.temperature[:warm] = np.linspace(c["temp_start"], c["temp_end"], warm)[:steps]

    def step(self, i, batch):
        torch = self.torch
        large, small, masks = (torch.from_numpy(part) for part in batch)
        batch = dict(global_crops=large, local_crops=small, **self.T.mask_info(masks))
        self.T.train_step(self.student, self.teacher, self.optimizer, self.cfg, batch, self.deck.next(),
                          float(self.temperature[i]), float(self.rate[i]), float(self.decay[i]),
                          float(self.momentum[i]), last_lr=float(self.last_rate[i]))


def find_rate(make, queue):
    trainer = make(10000)
    warm = len(set(trainer.T.networks(trainer.cfg)))
    times = []
    for i in range(warm + TRIAL):
        start = time.perf_counter()
        trainer.step(i, queue.get())
        times.append(time.perf_counter() - start)
    return 1 / statistics.mean(times[warm:])


def features(trainer, teacher, images, choice):
    torch, forward = trainer.torch, trainer.T.FORWARD["vit"]
    with torch.no_grad():
        return torch.cat([forward(teacher, trainer.cfg, part, choice)[0] for part in images.split(500)])


def knn(torch, bank, labels, asked, truth, neighbours=20, temperature=0.07):
    """Each asks its nearest, weighted by exp(cosine / temperature)."""
    normalize = torch.nn.functional.normalize
    bank, asked, right = normalize(bank), normalize(asked), 0
    for part, answer in zip(asked.split(500), truth.split(500)):
        near, index = (part @ bank.T).topk(neighbours)
        votes = torch.zeros(len(part), int(labels.max()) + 1)
        votes.scatter_add_(1, labels[index], (near / temperature).exp())
        right += int((votes.argmax(1) == answer).sum())
    return right / len(asked)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--marks", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="ask only so many training images")
    parser.add_argument("--rate", action="store_true")
    a = parser.parse_args()
    c = constants(a.recipe)
    images = read_idx(a.data, "train-images-idx3-ubyte")
    mean, deviation = images.mean() / 255, images.std() / 255
    queue = start_feeding(c, images, mean, deviation, a.seed)
    import torch  # here: the other process needs none of it
    import poa_torch as T
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    cfg = make_cfg(T, c)
    make = lambda steps: Trainer(T, torch, c, cfg, a.seed, steps)
    rate = find_rate(make, queue)
    if a.rate:
        print(json.dumps(dict(rate=rate)))
        return

    steps = int(rate * a.seconds)
    trainer, kept, start = make(steps), [], time.perf_counter()
    at = [steps * (m + 1) // a.marks for m in range(a.marks)]
    for i in range(steps):
        trainer.step(i, queue.get())
        if i + 1 in at:
            seconds = time.perf_counter() - start
            kept.append((i + 1, seconds, {k: v.clone() for k, v in trainer.teacher.items()}))

    bank = slice(0, a.limit)
    prepare = lambda pixels: torch.from_numpy(((pixels.astype(np.float32) / 255 - mean) / deviation)
                                              .astype(np.float32))[:, None]
    known, labels = prepare(images[bank]), torch.from_numpy(read_idx(a.data, "train-labels-idx1-ubyte")[bank].astype(int))
    asked = prepare(read_idx(a.data, "t10k-images-idx3-ubyte"))
    truth = torch.from_numpy(read_idx(a.data, "t10k-labels-idx1-ubyte").astype(int))
    judge = lambda teacher, choice: knn(torch, features(trainer, teacher, known, choice), labels,
                                        features(trainer, teacher, asked, choice), truth)
    smallest, intact = T.networks(cfg)[0], T.networks(cfg)[-1]
    curve = [dict(steps=n, seconds=seconds, intact=judge(teacher, intact), smallest=judge(teacher, smallest))
             for n, seconds, teacher in kept]
    raw = lambda x: (x * deviation + mean).flatten(1).float()
    print(json.dumps(dict(rate=rate, curve=curve, pixels=knn(torch, raw(known), labels, raw(asked), truth))))


if __name__ == "__main__":
    main()
