"""IDX, the format of MNIST: a magic number, the dimensions, then the bytes; often gzipped."""

import struct

import numpy as np
import numpy.typing as npt

from oodbench.data.checksums import decoded
from oodbench.errors import BadData

UBYTE = 0x08


def read_idx(content: bytes, name: str, rank: int) -> npt.NDArray[np.uint8]:
    """Return the array of an IDX file of unsigned bytes with `rank` dimensions.

    Raises:
        BadData: The file is empty, truncated, not IDX, or of another type or rank.
    """
    if not content:
        raise BadData(f"{name}: got an empty file, expected IDX.")
    content = decoded(content, name)
    head = 4 + 4 * rank
    if len(content) < head:
        raise BadData(f"{name}: got {len(content)} bytes, expected at least the {head} of an IDX header.")
    magic = int.from_bytes(content[:4], "big")
    if magic != UBYTE << 8 | rank:
        raise BadData(
            f"{name}: got magic number 0x{magic:08x}, expected 0x{UBYTE << 8 | rank:08x} ({rank}-d unsigned bytes)."
        )
    shape = struct.unpack(f">{rank}I", content[4:head])
    expected = head + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        what = "truncated" if len(content) < expected else "too long"
        raise BadData(f"{name}: {what}: got {len(content)} bytes, expected {expected} for an array of shape {shape}.")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)
