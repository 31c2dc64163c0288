"""The crops and masks of runtime/augment.c, resample.c and block_mask.c for grey images, in NumPy, many at
once: PIL's antialiased bicubic resampling of a random box as two products with a matrix each, then a flip,
brightness and contrast in either order. What colour, blur and solarization would do is left out; the recipe
`fashion` asks for none of it."""
import numpy as np

ASPECT = np.log(4 / 3)


def boxes(random, n, side, low, high):
    """top, left, height, width of n boxes; after ten misses the whole of a square image."""
    tries = 10
    area = side * side * random.uniform(low, high, (n, tries))
    aspect = np.exp(random.uniform(-ASPECT, ASPECT, (n, tries)))
    w, h = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
    good = (w >= 1) & (w <= side) & (h >= 1) & (h <= side)
    first, rows = good.argmax(1), np.arange(n)
    hit = good[rows, first]
    h, w = np.where(hit, h[rows, first], side), np.where(hit, w[rows, first], side)
    place = lambda extent: np.floor(random.random(n) * (side - extent + 1))
    return place(h), place(w), h, w


def keys(x):
    """Keys' cubic, a = -0.5."""
    x = np.abs(x)
    return np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, (((x - 5) * x + 8) * x - 4) * -0.5, 0))


def axis_matrix(first, extent, size, side):
    """[n, size, side]: how `size` outputs sum up the `extent` source places from `first` on."""
    scale = (extent / size)[:, None]
    stretch = np.maximum(scale, 1)
    center = (np.arange(size) + 0.5) * scale
    begin = np.maximum(np.trunc(center - 2 * stretch + 0.5), 0)[..., None]
    end = np.minimum(np.trunc(center + 2 * stretch + 0.5), extent[:, None])[..., None]
    k = np.arange(side) - first[:, None, None]
    weights = np.where((k >= begin) & (k < end), keys((k - center[..., None] + 0.5) / stretch[..., None]), 0)
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


def resample(images, top, left, height, width, flip, size):
    side = images.shape[-1]
    rows, columns = axis_matrix(top, height, size, side), axis_matrix(left, width, size, side)
    columns = np.where(flip[:, None, None], columns[:, ::-1], columns)
    # Overshoots are cut, as PIL does.
    return np.clip(rows @ images @ columns.transpose(0, 2, 1), 0, 1)


def jitter(random, crops, probability, brightness, contrast):
    n = len(crops)
    chosen, contrast_first = random.random(n) < probability, random.random(n) < 0.5
    b = random.uniform(max(1 - brightness, 0), 1 + brightness, n).astype(np.float32)[:, None, None]
    c = random.uniform(max(1 - contrast, 0), 1 + contrast, n).astype(np.float32)[:, None, None]
    brighter = lambda x: np.clip(b * x, 0, 1)
    harder = lambda x: np.clip(c * x + (1 - c) * x.mean((1, 2), keepdims=True), 0, 1)
    one, other = brighter(harder(crops)), harder(brighter(crops))
    return np.where(chosen[:, None, None], np.where(contrast_first[:, None, None], one, other), crops)


def views(random, images, count, size, low, high, flip, jitter_probability):
    """[count * b, 1, size, size]: all first crops, then all second ones, .."""
    repeated = np.tile(images, (count, 1, 1))
    n = len(repeated)
    crops = resample(repeated, *boxes(random, n, images.shape[-1], low, high), random.random(n) < flip, size)
    return jitter(random, crops, jitter_probability, 0.4, 0.4)[:, None]


def grow(random, mask, wanted):
    """Adds a rectangle of at most `wanted` new patches; how many it added."""
    side = len(mask)
    for _ in range(10):
        area = 4 + (wanted - 4) * random.random()
        aspect = np.exp(np.log(0.3) * (1 - 2 * random.random()))
        h, w = int(np.rint(np.sqrt(area * aspect))), int(np.rint(np.sqrt(area / aspect)))
        if h >= side or w >= side:
            continue
        y, x = random.integers(side - h + 1), random.integers(side - w + 1)
        fresh = h * w - int(mask[y:y + h, x:x + w].sum())
        if 1 <= fresh <= wanted:
            mask[y:y + h, x:x + w] = True
            return fresh
    return 0


def block_masks(random, rows, side, probability, low, high):
    masks, chosen = np.zeros((rows, side, side), bool), int(rows * probability)
    edges = np.linspace(low, high, chosen + 1)
    for i, row in enumerate(random.permutation(rows)[:chosen]):
        target, count, added = int(side * side * random.uniform(edges[i], edges[i + 1])), 0, 1
        while count < target and added:
            added = grow(random, masks[row], min(target - count, side * side // 2))
            count += added
    return masks.reshape(rows, side * side)
