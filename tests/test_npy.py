"""Arrays of anyone's making: right numbers, or a sentence; never memory for what a header claims."""

import struct
from pathlib import Path

import numpy as np
import pytest

from oodbench.errors import BadData, MissingData
from oodbench.measure.files import measure_files
from oodbench.npy import mapped

X = np.array([0.5, 2.0, -1.0])


def npy(
    descr: str = "'<f8'",
    fortran: str = "False",
    shape: str = "(3,)",
    content: bytes = X.tobytes(),
    version: tuple[int, int] = (1, 0),
    length: int | None = None,
) -> bytes:
    """Return a .npy file with a header as a stranger may write it."""
    header = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    size = struct.pack("<H" if version[0] == 1 else "<I", len(header) if length is None else length)
    return b"\x93NUMPY" + bytes(version) + size + header + content


GOOD = {
    "plain": npy(),
    "version 2": npy(version=(2, 0)),
    "version 3": npy(version=(3, 0)),
    "big-endian": npy("'>f8'", content=X.astype(">f8").tobytes()),
    "float16": npy("'<f2'", content=X.astype("<f2").tobytes()),
    "Fortran order": npy(fortran="True"),
    "Python 2": npy(shape="(3L,)"),
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_odd_headers_give_the_right_numbers(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    (tmp_path / "y.npy").write_bytes(npy(content=(X - 1).tobytes()))
    assert mapped(tmp_path / "x.npy").tolist() == X.tolist()
    # pairs good > bad: .5 beats -.5 and -2; 2 beats all; -1 beats -2
    assert measure_files(tmp_path / "x.npy", tmp_path / "y.npy")["auroc"] == pytest.approx(6 / 9)


def test_a_matrix_in_fortran_order_is_not_transposed(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(6).reshape(2, 3))
    np.save(tmp_path / "x.npy", array)
    assert np.array_equal(mapped(tmp_path / "x.npy"), array)


BAD = {
    "a claim of 8 EB": (npy(shape="(1000000000000000000,)"), "claims more numbers than the file holds"),
    "a claim beyond 64 bits": (npy(shape="(99999999999999999999999,)"), "not a .npy file"),
    "cut": (npy(content=X.tobytes()[:20]), "claims more numbers than the file holds"),
    "a negative shape": (npy(shape="(-3,)"), "not a .npy file"),
    "a header of 4 GB": (npy(version=(2, 0), length=2**32 - 1), "not a .npy file"),
    "objects": (npy("'|O'"), "Python objects"),
    "an endless dtype": (npy("('<f8', (1000000, 1000000))"), "not a .npy file"),
    "version 9": (npy(version=(9, 0)), "not a .npy file"),
    "no tuple": (npy(shape="3"), "not a .npy file"),
    "code": (npy(shape="(__import__('os').getpid(),)"), "not a .npy file"),
    "nested": (npy(shape="(" * 4000), "not a .npy file"),
    "empty": (b"", "not a .npy file"),
    "text": (b"0.5\n0.7\n", "not a .npy file"),
    "a zip": (b"PK\x03\x04" + bytes(60), "not a .npy file"),
    "a pickle": (b"\x80\x04]\x94.", "not a .npy file"),
    "records": (npy("[('a', '<f8')]"), "expected a vector of real scores"),
    "text scores": (npy("'<U2'"), "expected a vector of real scores"),
    "times": (npy("'<M8[s]'"), "expected a vector of real scores"),
    "complex": (npy("'<c8'"), "expected a vector of real scores"),
    "a column": (npy(shape="(3, 1)"), "expected a vector of real scores"),
    "one number": (npy(shape="()"), "expected a vector of real scores"),
    "none": (npy(shape="(0,)"), "no scores"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_what_is_no_vector_of_scores_is_refused_with_its_name(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "odd.npy").write_bytes(content)
    (tmp_path / "good.npy").write_bytes(npy())
    for pair in (("odd.npy", "good.npy"), ("good.npy", "odd.npy")):
        with pytest.raises(BadData, match=message) as error:
            measure_files(*(tmp_path / name for name in pair))
        assert "odd.npy" in str(error.value)


def test_a_folder_and_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "good.npy").write_bytes(npy())
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(BadData, match=r"folder\.npy: cannot be read \(Is a directory\)"):
        measure_files(tmp_path / "good.npy", tmp_path / "folder.npy")
    (tmp_path / "link.npy").symlink_to(tmp_path / "gone")
    with pytest.raises(MissingData, match=r"link\.npy: no such file"):
        measure_files(tmp_path / "good.npy", tmp_path / "link.npy")
