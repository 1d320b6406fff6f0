"""Pictures to corrupt."""

import numpy as np
from scipy.ndimage import gaussian_filter


def drawn(n, channels, side, seed=0):
    """Return smooth pictures over the whole range of grey levels, with sharp squares on them."""
    rng = np.random.default_rng(seed)
    x = gaussian_filter(rng.random((n, channels, side, side)), (0, 0.3, side / 14, side / 14))
    x -= x.min(axis=(1, 2, 3), keepdims=True)
    x /= x.max(axis=(1, 2, 3), keepdims=True)
    x[:, :, side // 4 : side // 2, side // 3 : side // 2] = rng.random((n, channels, 1, 1))
    return np.rint(x * 255).astype(np.uint8)
