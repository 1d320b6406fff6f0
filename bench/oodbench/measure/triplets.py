"""Lee's protocol for detectors of attacks: clean, noisy and attacked versions of the same images.

Lee, Lee, Lee & Shin, "A simple unified framework for detecting out-of-distribution samples and adversarial attacks",
2018.

An image counts if the classifier gets it right clean, gets it right under noise, and gets its attacked version wrong.
The attacked versions are the bad inputs; the good ones are the clean versions *and* the noisy ones, so that a
detector of any change at all does not look like one of attacks. The first tenth of the images, in all three versions,
is to tune on, the others are tested.

That is another set of images for every pair of attack and classifier, and twice as many good as bad inputs: numbers
of it stand in no table beside those of `adversarial` (every attacked image that was right, against its clean
version).

The authors' noise is normal with a size for each network, data set and attack, in units of standardised pixels, cut
to the range of all channels together. On CIFAR-10, for FGSM, BIM, DeepFool and CW, it is 0.0625, 0.065, 0.0625 and
0.025 for ResNet-34, and 0.0525, 0.0525, 0.026 and 0.015 for DenseNet-100. `oodbench.attacks.noise` adds it in pixels,
cut to [0, 1], and as long as the attack.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import BadData

Booleans = NDArray[np.bool_]
Places = NDArray[np.intp]

SHARE = 0.1
"""Of the images, those to tune on."""


@dataclass(frozen=True, eq=False)
class Triplets:
    """Which images count: their places among those that were attacked, in order, to tune on and to test on."""

    tuning: Places
    test: Places

    def groups(
        self, clean: NDArray[Any], noisy: NDArray[Any], attacked: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the scores of the tested good inputs [2 k] and bad ones [k], of scores of each version.

        Raises:
            BadData: The versions are not of the same images.
        """
        if not len(clean) == len(noisy) == len(attacked):
            raise BadData(
                f"triplets: got scores of {len(clean)} clean, {len(noisy)} noisy and {len(attacked)} attacked images, "
                "expected those of the same images"
            )
        return np.concatenate([clean[self.test], noisy[self.test]]), attacked[self.test]


def triplets(clean_right: Booleans, noisy_right: Booleans, attacked_right: Booleans, share: float = SHARE) -> Triplets:
    """Return which images count in Lee's protocol, of which versions the classifier gets right [n].

    Raises:
        BadData: The versions are not of the same images.

    Example:
        >>> right = np.array([True, True, False])
        >>> triplets(right, right, np.array([False, True, False])).test.tolist()
        [0]
    """
    if not len(clean_right) == len(noisy_right) == len(attacked_right):
        raise BadData(
            f"triplets: got {len(clean_right)} clean, {len(noisy_right)} noisy and {len(attacked_right)} attacked "
            "images, expected the same images"
        )
    kept = np.flatnonzero(clean_right & noisy_right & ~attacked_right)
    first = int(len(kept) * share)
    return Triplets(kept[:first], kept[first:])
