"""inference_torch.py WEIGHTS.safetensors THREADS BATCH SECONDS [--compile] [--check IMAGES.npy OURS.npy]

Times a plain Vision Transformer in PyTorch on extracted weights (timm's names). Prints the median and
the shortest time of a run in ms; with --check compares features with ours first."""
import statistics
import sys
import time

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

arguments = sys.argv[1:]
weights = load_file(arguments[0])
threads, batch, seconds = int(arguments[1]), int(arguments[2]), float(arguments[3])
torch.set_num_threads(threads)
torch.backends.cudnn.enabled = False
width = weights["norm.weight"].numel()
depth = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
patch = weights["patch_embed.proj.weight"].shape[-1]
tokens = weights["pos_embed"].shape[1] - 1
size = int(tokens**0.5) * patch
HEAD = 64
EPS = 1e-6


class Block(torch.nn.Module):
    def __init__(self, prefix):
        super().__init__()
        self.names = {}
        for name, value in weights.items():
            if name.startswith(prefix):
                self.register_buffer(name[len(prefix):].replace(".", "_"), value.contiguous())

    def scaled(self, x, name):
        return x * getattr(self, name) if hasattr(self, name) else x

    def forward(self, x):
        b, n, d = x.shape
        h = F.layer_norm(x, (d,), self.norm1_weight, self.norm1_bias, EPS)
        qkv = F.linear(h, self.attn_qkv_weight, self.attn_qkv_bias)
        q, k, v = qkv.reshape(b, n, 3, d // HEAD, HEAD).permute(2, 0, 3, 1, 4)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d)
        x = x + self.scaled(F.linear(h, self.attn_proj_weight, self.attn_proj_bias), "ls1_gamma")
        h = F.layer_norm(x, (d,), self.norm2_weight, self.norm2_bias, EPS)
        h = F.gelu(F.linear(h, self.mlp_fc1_weight, self.mlp_fc1_bias))
        return x + self.scaled(F.linear(h, self.mlp_fc2_weight, self.mlp_fc2_bias), "ls2_gamma")


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList(Block(f"blocks.{i}.") for i in range(depth))

    def forward(self, images):
        x = F.conv2d(images, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"],
                     stride=patch)
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([weights["cls_token"].expand(len(x), -1, -1), x], 1) + weights["pos_embed"]
        for block in self.blocks:
            x = block(x)
        return F.layer_norm(x, (width,), weights["norm.weight"], weights["norm.bias"], EPS)[:, 0]


network = Network().eval()
with torch.inference_mode():
    if "--check" in arguments:
        images, ours = (numpy.load(arguments[arguments.index("--check") + i]) for i in (1, 2))
        theirs = network(torch.from_numpy(images)).numpy()
        difference = numpy.abs(ours - theirs).max() / numpy.abs(theirs).max()
        print(f"largest difference {difference:.1e}", file=sys.stderr)
        if difference > 1e-5:
            sys.exit("the features differ")
    if "--compile" in arguments:
        network = torch.compile(network)
    images = torch.randn(batch, weights["patch_embed.proj.weight"].shape[1], size, size)
    for _ in range(2):
        network(images)
    times = []
    while sum(times) < seconds or len(times) < 3:
        start = time.perf_counter()
        network(images)
        times.append(time.perf_counter() - start)
print(f"{1e3 * statistics.median(times):.3f} {1e3 * min(times):.3f}")
