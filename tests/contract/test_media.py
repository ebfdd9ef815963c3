"""What others have put into rooms: the same promises from a real homeserver and from the one in memory."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest
from nio.crypto.attachments import encrypt_attachment

from aiagentchat.core.errors import LoginFailed, Refused, Unreachable
from aiagentchat.core.files import FileKeys, MediaFile
from aiagentchat.core.ids import RoomId
from aiagentchat.core.ports.matrix import SPOILED, TOO_LARGE, Media
from aiagentchat.matrix.media import MatrixMedia
from aiagentchat.matrix.outbound import MatrixOutbound
from tests.contract.outbound_worlds import client_of, real_world_of
from tests.fakes.media import FakeMedia

DATA = b"\0\xff picture" * 20_000
MOST = 10 * 2**20


class FakeWorld:
    """In memory."""

    def __init__(self) -> None:
        self.media = FakeMedia()

    async def put(self, data: bytes, *, keys: bool = False) -> MediaFile:
        address = f"mxc://hs/{len(self.media.files)}"
        self.media.files[address] = data
        return MediaFile(name="a", url=address, keys=FileKeys(key="k", iv="i", sha256="s") if keys else None)

    async def spoil(self, file: MediaFile) -> MediaFile:
        self.media.spoiled.add(file.url)
        return file

    def stranger(self) -> Media:
        media = FakeMedia()
        media.fail(LoginFailed("who?"))
        return media


class RealWorld:
    """On a real homeserver."""

    def __init__(self, media: Media, outbound: MatrixOutbound, room: RoomId, stranger: Media) -> None:
        self.media = media
        self._outbound = outbound
        self._room = room
        self._stranger = stranger

    async def put(self, data: bytes, *, keys: bool = False) -> MediaFile:
        sealed, how = encrypt_attachment(data) if keys else (data, {})
        kept = await self._outbound.upload(self._room, sealed, name="a", mime="application/octet-stream")
        found = FileKeys(key=how["key"]["k"], iv=how["iv"], sha256=how["hashes"]["sha256"]) if keys else None
        return MediaFile(name="a", url=kept["url"], keys=found)

    async def spoil(self, file: MediaFile) -> MediaFile:
        other = await self.put(b"something else")
        return replace(file, url=other.url)

    def stranger(self) -> Media:
        return self._stranger


World: TypeAlias = FakeWorld | RealWorld


@asynccontextmanager
async def fake(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[World]:  # noqa: ARG001
    yield FakeWorld()


@asynccontextmanager
async def real(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[World]:
    async with (
        real_world_of(request, folder) as world,
        client_of(world.url, world.account) as client,
        client_of(world.url, replace(world.account, access_token="revoked")) as nobody,
    ):
        yield RealWorld(MatrixMedia(client), world.outbound, await world.room(), MatrixMedia(nobody))


@pytest.fixture(params=[pytest.param(fake, id="fake"), pytest.param(real, id="real", marks=pytest.mark.real)])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with request.param(request, tmp_path) as made:
        yield made


@pytest.mark.parametrize("keys", [False, True], ids=["in the clear", "encrypted"])
async def test_what_somebody_has_put_there_comes_as_it_was(world: World, keys: bool) -> None:
    file = await world.put(DATA, keys=keys)

    assert await world.media.download(file, most=MOST) == DATA
    assert await world.media.download(file, most=len(DATA)) == DATA


async def test_more_than_is_wanted_is_refused_whatever_was_said_of_its_size(world: World) -> None:
    file = replace(await world.put(DATA), size=1)

    with pytest.raises(Refused) as refused:
        await world.media.download(file, most=len(DATA) - 1)
    assert (refused.value.errcode, refused.value.ours) == (TOO_LARGE, True)


async def test_what_is_not_what_was_encrypted_is_refused(world: World) -> None:
    file = await world.spoil(await world.put(DATA, keys=True))

    with pytest.raises(Refused) as refused:
        await world.media.download(file, most=MOST)
    assert (refused.value.errcode, refused.value.ours) == (SPOILED, True)


async def test_what_is_not_there_is_refused(world: World) -> None:
    file = await world.put(DATA)

    with pytest.raises(Refused):
        await world.media.download(replace(file, url=f"{file.url}nothing"), most=MOST)


@pytest.mark.parametrize(
    "url", ["https://example.org/a", "mxc://hs/../../etc", "mxc://hs/a/b", "mxc://a b/c", "mxc:///a"]
)
async def test_an_address_that_is_none_is_not_asked_for(world: World, url: str) -> None:
    file = replace(await world.put(DATA), url=url)

    with pytest.raises(Refused):
        await world.media.download(file, most=MOST)


async def test_somebody_who_is_not_logged_in_is_told_so(world: World) -> None:
    file = await world.put(DATA)

    with pytest.raises(LoginFailed):
        await world.stranger().download(file, most=MOST)


SPOIL: dict[str, Callable[[FileKeys], FileKeys]] = {
    "a key that is none": lambda keys: replace(keys, key="!"),
    "a short key": lambda keys: replace(keys, key="AAAA"),
    "a start that is none": lambda keys: replace(keys, iv="!"),
    "no start": lambda keys: replace(keys, iv=""),
    "a sum that is none": lambda keys: replace(keys, sha256="é!"),
}


@pytest.mark.real
@pytest.mark.parametrize("how", SPOIL)
async def test_keys_that_are_none_are_refused(request: pytest.FixtureRequest, tmp_path: Path, how: str) -> None:
    async with real(request, tmp_path) as world:
        file = await world.put(DATA, keys=True)
        assert file.keys is not None

        with pytest.raises(Refused):
            await world.media.download(replace(file, keys=SPOIL[how](file.keys)), most=MOST)


@pytest.mark.real
async def test_a_homeserver_that_is_down_is_unreachable(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    async with real_world_of(request, tmp_path) as world, client_of("http://127.0.0.1:9", world.account) as client:
        with pytest.raises(Unreachable):
            await MatrixMedia(client).download(MediaFile(name="a", url="mxc://hs/a"), most=MOST)
