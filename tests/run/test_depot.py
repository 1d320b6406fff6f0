"""Stores of bytes by name: put once, whole or not at all; a folder, and an object store by a local S3 server."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oodbench.errors import BadSetting
from oodbench.run import depot as depots
from oodbench.run.depot import Depot, FolderDepot, open_depot


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Yield a bucket of a server on this machine."""
    pytest.importorskip("obstore", reason="obstore is not installed")
    server = pytest.importorskip("moto.server", reason="moto is not installed: no S3 server here")
    boto3 = pytest.importorskip("boto3")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        boto3.client("s3", region_name="us-east-1", endpoint_url=settings["AWS_ENDPOINT_URL"]).create_bucket(
            Bucket="oodbench-test"
        )
        yield "s3://oodbench-test"
    finally:
        running.stop()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


@pytest.fixture(params=["folder", "s3"])
def depot(request: pytest.FixtureRequest, tmp_path: Path) -> Depot:
    if request.param == "folder":
        return open_depot(str(tmp_path / "store"))
    return open_depot(f"{request.getfixturevalue('s3')}/{tmp_path.name}")


def file(folder: Path, content: bytes) -> Path:
    path = folder / f"file-{len(list(folder.iterdir()))}"
    path.write_bytes(content)
    return path


@pytest.mark.filterwarnings("ignore")
def test_what_is_put_is_got_and_the_first_stays(depot: Depot, tmp_path: Path) -> None:
    assert depot.put("a/b.npy", file(tmp_path, b"first"))
    assert not depot.put("a/b.npy", file(tmp_path, b"second"))
    assert depot.get("a/b.npy", tmp_path / "deep" / "got")
    assert (tmp_path / "deep" / "got").read_bytes() == b"first"
    assert not depot.get("a/none", tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.filterwarnings("ignore")
def test_names_are_those_below_a_folder(depot: Depot, tmp_path: Path) -> None:
    for name in ("models/x/1.json", "models/x/deep/2.json", "models/xy/3.json", "blobs/4"):
        depot.put(name, file(tmp_path, name.encode()))
    assert sorted(depot.names("models/x")) == ["models/x/1.json", "models/x/deep/2.json"]
    assert list(depot.names("nothing")) == []


@pytest.mark.filterwarnings("ignore")
def test_of_many_at_once_one_is_first(depot: Depot, tmp_path: Path) -> None:
    files = [file(tmp_path, bytes([number]) * 10_000) for number in range(8)]
    together = threading.Barrier(8)

    def put(path: Path) -> bool:
        together.wait()
        return depot.put("one", path)

    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(put, files))
    assert sum(won) == 1
    depot.get("one", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == files[won.index(True)].read_bytes()


def test_a_folder_keeps_no_half_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = FolderDepot(tmp_path / "store")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.put("a", file(tmp_path, b"x"))
    assert list((tmp_path / "store").iterdir()) == []


def test_what_cannot_be_a_store_is_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match="expected a folder to write to"):
        open_depot(str(tmp_path / "file"))
    monkeypatch.setattr(depots, "find_spec", lambda name: None)
    with pytest.raises(BadSetting, match=r"pip install 'oodbench\[s3\]'"):
        open_depot("s3://bucket/prefix")


def test_an_address_of_no_known_kind_is_refused() -> None:
    pytest.importorskip("obstore", reason="obstore is not installed")
    with pytest.raises(BadSetting, match="expected s3://BUCKET/PREFIX or a folder"):
        open_depot("ftp://somewhere/else")


@pytest.mark.filterwarnings("ignore")
def test_a_bucket_that_is_not_there_is_said(s3: str, tmp_path: Path) -> None:
    store = open_depot("s3://no-such-bucket/prefix")
    with pytest.raises(BadSetting, match=r"store s3://no-such-bucket/prefix: .*is the bucket there"):
        store.put("a", file(tmp_path, b"x"))
