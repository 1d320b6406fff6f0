"""Downloads: over https alone, with time-outs and a limit of size, going on where an earlier one was cut off."""

import errno
import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util import Retry

from oodbench.errors import Busy, MissingData

CONNECT = 20.0
"""Seconds to wait for a connection."""

READ = 60.0
"""Seconds to wait for the next bytes."""

LIMIT = 64 * 2**30
"""Bytes of a file of which the card says no size."""

CHUNK = 2**20

BUSY = (429, 502, 503, 504)
"""Answers after which a server is asked again, twice."""


class _CutOff(Exception):
    """Fewer bytes came than were announced."""


def download(url: str, part: Path, size: int | None = None) -> None:
    """Write what is at `url` into `part`, after the bytes that an earlier attempt left there.

    Args:
        url: An https address; a redirection to anything else is refused.
        part: The file to write, to be checked and renamed by the caller. It is kept when the transfer breaks off.
        size: Bytes that the file has, if known: the limit of what is accepted, else LIMIT.

    Raises:
        MissingData: It cannot be had, with the reason: no network, a time-out, an answer other than the file, more
            bytes than the limit, no room on the disk.
        Busy: Another process is downloading it.
    """
    try:
        with _alone(part) as file, _session() as session:
            while not _transfer(session, url, file, size or LIMIT):
                pass
    except (requests.RequestException, urllib3.exceptions.HTTPError, _CutOff, OSError) as error:
        raise MissingData(f"{url} could not be downloaded: {_why(error, part)}") from error


def _session() -> requests.Session:
    """Return a session that knows no way to an address without encryption, redirected or not."""
    session = requests.Session()
    busy = Retry(
        total=2, connect=0, read=False, other=0, backoff_factor=0.5, status_forcelist=BUSY, raise_on_status=False
    )
    session.adapters.clear()
    session.mount("https://", HTTPAdapter(max_retries=busy))
    return session


@contextmanager
def _alone(part: Path) -> Iterator[BinaryIO]:
    """Hold the file that is written; the system lets go of it when this process ends, however it ends."""
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"{part.name}: another process is downloading it; wait until it has ended") from error
        yield file


def _transfer(session: requests.Session, url: str, file: BinaryIO, limit: int) -> bool:
    """Append what is missing, and return whether that is all; a transfer that breaks off has to have brought something.

    Where the server sends the file from its beginning, or has no such bytes, the file starts anew.
    """
    had = have = file.seek(0, 2)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(url, headers=headers, stream=True, timeout=(CONNECT, READ)) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable and have:
            file.truncate(0)  # what is here is not the beginning of what is there
            return False
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            file.truncate(0)
            had = have = 0
        announced = answer.headers.get("Content-Length", "")
        total = have + int(announced) if announced.isdigit() else None
        if total is not None:
            _refuse(total, limit)
            _has_room(file, total - have)
        try:
            with tqdm(total=total, initial=have, unit="B", unit_scale=True, disable=None, leave=False) as bar:
                while chunk := answer.raw.read1(CHUNK, decode_content=False):  # what has come, without waiting for more
                    have += len(chunk)
                    _refuse(have, limit)
                    file.write(chunk)
                    bar.update(len(chunk))
        except urllib3.exceptions.HTTPError:
            if have == had:
                raise
            return False
        finally:
            file.flush()
    if total is not None and have < total:
        if have == had:
            raise _CutOff(f"{have} of {total} bytes came")
        return False
    return True


def _refuse(size: int, limit: int) -> None:
    if size > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes")


def _has_room(file: BinaryIO, size: int) -> None:
    free = shutil.disk_usage(Path(file.name).parent).free
    if size > free:
        raise OSError(errno.ENOSPC, f"{size} bytes are to come, and {free} are free")


def _why(error: Exception, part: Path) -> str:
    """Return a reason and, where there is one, the way out."""
    match error:
        case requests.exceptions.InvalidSchema() | requests.exceptions.MissingSchema():
            return "it is, or leads to, an address that does not begin with https://, which nothing is fetched from."
        case requests.HTTPError():
            return f"the server answered {error}; the file may have moved."
        case requests.exceptions.SSLError():
            return f"its certificate is not trusted ({error}); a proxy's own is named by REQUESTS_CA_BUNDLE."
        case requests.Timeout() | urllib3.exceptions.TimeoutError():
            return (
                f"the server did not answer within {CONNECT:.0f} s, or sent nothing for {READ:.0f} s; try again later."
            )
        case requests.ConnectionError():
            return "there is no way to the server (is there a network? a proxy is named by HTTPS_PROXY)."
        case OSError(errno=errno.ENOSPC):
            return f"no room in {part.parent} ({error.strerror}); make some, or name another folder by OODBENCH_DATA."
        case OSError(errno=errno.EFBIG):
            return f"{error.strerror}, which is too many: it is not the file that the card means."
        case OSError(strerror=str(said)):
            return f"{part.parent} cannot be written to ({said}); name another folder by OODBENCH_DATA."
        case _:
            return f"the transfer broke off ({error}); the same command goes on from there."
