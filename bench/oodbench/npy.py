"""Reading .npy files of anyone's making: nothing is believed of a header before the file is as long as it says."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.errors import BadData


def mapped(path: Path) -> npt.NDArray[Any]:
    """Return the array of a .npy file, as it lies on disk: memory is used for what is read of it.

    A header that claims more than the file holds, Python objects, a damaged or endless header: all are refused before
    any memory is asked for.

    Raises:
        BadData: It is no such file, or it cannot be read.

    Example:
        >>> np.save("scores.npy", [1.0, 2.0])
        >>> float(mapped(Path("scores.npy")).mean())
        1.5
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote: they read well
            array: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror or error}); expected a .npy file.") from error
    except Exception as error:  # a damaged header may raise anything
        said = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        if "greater than file size" in said:
            said = "its header claims more numbers than the file holds"
        raise BadData(f"{path}: not a .npy file of numbers ({said}); make one with numpy.save.") from error
    return array
