"""Downloading a corpus that may not be passed on: pinned to one version, checked, resumable."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nmt_pbt.base.errors import UsageError, suggest

Progress = Callable[[str, int, int], None]
"""Called with a file's name, its bytes so far and its bytes in all."""

_CHUNK = 1 << 16
_TIMEOUT = 30.0  # seconds without a byte
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


@dataclass(frozen=True)
class RemoteFile:
    """One file to download: its name, SHA-256 and size in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Source:
    """Where a corpus comes from: the address of its folder, and its files."""

    base_url: str
    files: tuple[RemoteFile, ...]


SOURCES = {
    # Elliott et al. 2016 and 2017, Barrault et al. 2018: English, German, French, and Czech where there is such. The
    # terms are research and educational use.
    "multi30k": Source(
        "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw",
        (
            RemoteFile("train.en.gz", "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f", 568_929),
            RemoteFile("train.de.gz", "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6", 637_044),
            RemoteFile("train.fr.gz", "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c", 604_242),
            RemoteFile("train.cs.gz", "a65adb8b32e3bc664f21ecba7a6e7f6950fd1f405e135f7c312faabdb6255077", 593_827),
            RemoteFile("val.en.gz", "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28", 21_650),
            RemoteFile("val.de.gz", "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a", 24_681),
            RemoteFile("val.fr.gz", "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9", 23_001),
            RemoteFile("val.cs.gz", "b63226e05c4bd5dd6a42897d74b86a1b9d2c31498252c572b1ea7f7996927fcc", 22_096),
            RemoteFile(
                "test_2016_flickr.en.gz", "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9", 21_077
            ),
            RemoteFile(
                "test_2016_flickr.de.gz", "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8", 22_890
            ),
            RemoteFile(
                "test_2016_flickr.fr.gz", "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90", 22_310
            ),
            RemoteFile(
                "test_2016_flickr.cs.gz", "200a4a74cc9560f051924abb9803be008d1908d77f747e9141aeb86dfd2797f1", 22_572
            ),
            RemoteFile(
                "test_2017_flickr.en.gz", "76a444ee25172e72695cddb13ae4a3bda59430617be88e0bb46b60504f054074", 19_138
            ),
            RemoteFile(
                "test_2017_flickr.de.gz", "a2c89666db00c495cd8513b9d708d5a3acc205d7de312ef2bf5fb7ebc1540aee", 21_471
            ),
            RemoteFile(
                "test_2017_flickr.fr.gz", "3ba671ceb2299f3304ffafefea7a833d08632fbaf0ba18546f8a2ec2391af496", 20_434
            ),
            RemoteFile(
                "test_2017_mscoco.en.gz", "aab300bfb4427697987e02cd0aacd44bfe8aa50456231b6474c08038bbed2b58", 8_844
            ),
            RemoteFile(
                "test_2017_mscoco.de.gz", "799e4854c25d601cb6cb6be29eabe5667734c61ace2f495e03e429031a0bc338", 10_230
            ),
            RemoteFile(
                "test_2017_mscoco.fr.gz", "754f3072ba9f124569ba5258b32730fc1d214bbf8e0c6dfb2b74401676220db0", 9_751
            ),
            RemoteFile(
                "test_2018_flickr.en.gz", "ef4f4844037d4c5dea75c9a8ed5fd78905967a26f67c255e230cc9780032654d", 23_514
            ),
            RemoteFile(
                "test_2018_flickr.de.gz", "ddd0130c7d97482dc5197a02141dae8dd79f20f03586c480d675c09a32daf608", 26_461
            ),
            RemoteFile(
                "test_2018_flickr.fr.gz", "fb2b83fcceb937a4f7e3e93c1c51c22aba92f1e342391e6b5ba392b16a920501", 25_321
            ),
            RemoteFile(
                "test_2018_flickr.cs.gz", "7d0a9db904f94c554a8c58049a9f3a5357c27f46cc3d710d70cb0b4a2585b8c2", 25_181
            ),
        ),
    ),
}


def check_fetchable(name: str) -> None:
    """Refuse the name of a corpus that cannot be downloaded.

    Raises:
        UsageError: It is none of `SOURCES`.
    """
    if name not in SOURCES:
        raise UsageError(f"corpus {name!r} cannot be fetched{suggest(name, SOURCES)}")


def fetch(name: str, destination: Path, *, base_url: str | None = None, progress: Progress | None = None) -> Path:
    """Download a corpus. What is there already and right is left alone; what was begun is gone on with.

    Args:
        name: A corpus of `SOURCES`.
        destination: Folder for its files; made when missing.
        base_url: Another place with the same files, for instance a mirror.
        progress: Called with each file's progress.

    Returns:
        `destination`.

    Raises:
        UsageError: Unknown name, the network or the disk fails, or a file is not the pinned one. Of a file that fails
            on the way, what has come stays in `FILE.part` and is gone on with by the next call.
    """
    check_fetchable(name)
    source = SOURCES[name]
    try:
        destination.mkdir(parents=True, exist_ok=True)
        for file in source.files:
            _fetch_file(f"{(base_url or source.base_url).rstrip('/')}/{file.name}", destination, file, progress)
    except OSError as error:  # of the disk: the network's are dealt with below
        raise UsageError(
            f"{destination}: cannot be written ({error.strerror or error}); choose another folder"
        ) from None
    return destination


def _fetch_file(url: str, destination: Path, file: RemoteFile, progress: Progress | None) -> None:
    path = destination / file.name
    if path.is_file() and _sha256(path) == file.sha256:
        if progress is not None:
            progress(file.name, file.size, file.size)
        return
    part = destination / f"{file.name}.part"
    if not part.is_file() or part.stat().st_size < file.size:
        _download(url, part, file, progress)
    found = _sha256(part)
    if found != file.sha256:
        part.unlink()
        raise UsageError(
            f"{url}: not the file it should be (SHA-256 {found[:12]}..., expected {file.sha256[:12]}...); "
            "nothing was kept, try again or use another address"
        )
    with open(part, "rb+") as data:
        os.fsync(data.fileno())
    os.replace(part, path)


def _download(url: str, part: Path, file: RemoteFile, progress: Progress | None) -> None:
    """Append to `part` what it lacks of the file."""
    have = part.stat().st_size if part.is_file() else 0
    with _open(url, have, part) as response:
        begins, total = _extent(response)
        if total not in (None, file.size) or begins > have:
            part.unlink(missing_ok=True)
            raise UsageError(
                f"{url}: the server has {total or 0:,} bytes, expected {file.size:,}; check the address, or try later"
            )
        have = begins
        with open(part, "ab" if have else "wb") as output:
            output.truncate(have)
            while have < file.size:
                try:
                    chunk = response.read(min(_CHUNK, file.size - have))
                except (OSError, http.client.HTTPException) as error:
                    raise _failed(url, error) from None
                if not chunk:
                    raise _failed(url, f"it stopped after {have:,} of {file.size:,} bytes")
                output.write(chunk)
                have += len(chunk)
                if progress is not None:
                    progress(file.name, have, file.size)


def _open(url: str, position: int, part: Path) -> http.client.HTTPResponse:
    """Ask for the file from byte `position` on; a server may send it from its start all the same."""
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url}: not a web address; give one that begins with https://")
    request = urllib.request.Request(url, headers={"Range": f"bytes={position}-"} if position else {})
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink(missing_ok=True)  # it is longer than the server's file, so belongs to another
        raise UsageError(f"{url}: the server answers {error.code} {error.reason}; check the address") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _failed(url, getattr(error, "reason", error)) from None
    return response


def _extent(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Return the position of the first byte that is sent, and the size of the whole file where it is told."""
    sent = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status == http.client.PARTIAL_CONTENT and sent:
        return int(sent[1]), int(sent[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _failed(url: str, reason: object) -> UsageError:
    return UsageError(f"{url}: the download failed ({reason}); run the same command again to go on")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
