"""Edges of a batch of grey pictures."""

import numpy as np
import numpy.typing as npt


def canny(x: npt.NDArray[np.uint8], low: float, high: float) -> npt.NDArray[np.bool_]:
    """Return edges [n h w] of pictures [n h w]: ridges of the gradient, followed from strong ones into weak ones.

    The gradient is Sobel's, its size |dx| + |dy|, as OpenCV's is by default. A ridge is larger than the neighbour
    behind it across the edge, and at least as large as the one before it; at 22.5 degrees the neighbours change.

    John Canny, "A Computational Approach to Edge Detection", 1986.

    Args:
        x: Grey levels.
        low: Weak edges are larger.
        high: Strong edges are larger.
    """
    from scipy import ndimage

    levels = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1)), mode="edge")
    smooth = {axis: levels[_cut(axis, 0)] + 2 * levels[_cut(axis, 1)] + levels[_cut(axis, 2)] for axis in (1, 2)}
    dx = smooth[1][:, :, 2:] - smooth[1][:, :, :-2]
    dy = smooth[2][:, 2:] - smooth[2][:, :-2]
    size = np.abs(dx) + np.abs(dy)
    ridge = _ridges(size, dx, dy)
    weak, strong = ridge & (size > low), ridge & (size > high)
    in_plane = np.zeros((3, 3, 3), bool)
    in_plane[1] = True
    labels, count = ndimage.label(weak, in_plane)
    kept = np.zeros(count + 1, bool)
    kept[labels[strong]] = True
    kept[0] = False
    return kept[labels]


def _cut(axis: int, start: int) -> tuple[slice, ...]:
    """Return the part of an array, padded by 1, that begins at `start` along an axis and is 2 shorter there."""
    return tuple(slice(start, start - 2 or None) if a == axis else slice(None) for a in range(3))


def _ridges(
    size: npt.NDArray[np.float64], dx: npt.NDArray[np.float64], dy: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    h, w = size.shape[1:]
    padded = np.pad(size, ((0, 0), (1, 1), (1, 1)))
    near = {(a, b): padded[:, 1 + a : 1 + a + h, 1 + b : 1 + b + w] for a in (-1, 0, 1) for b in (-1, 0, 1)}
    flat, steep = np.abs(dy) < np.tan(np.pi / 8) * np.abs(dx), np.abs(dy) > np.tan(3 * np.pi / 8) * np.abs(dx)
    along = (size > near[0, -1]) & (size >= near[0, 1])
    down = (size > near[-1, 0]) & (size >= near[1, 0])
    falling = (size > near[-1, -1]) & (size > near[1, 1])
    rising = (size > near[-1, 1]) & (size > near[1, -1])
    return np.select([flat, steep, dx * dy >= 0], [along, down, falling], rising)
