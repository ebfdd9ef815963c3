"""A media repository in memory; tests/contract/test_media.py holds it to a real one."""

from aiagentchat.core.errors import MatrixError, Refused
from aiagentchat.core.files import MediaFile
from aiagentchat.core.ports.matrix import SPOILED, TOO_LARGE


class FakeMedia:
    """The Media port."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        """What is there, by its address."""
        self.spoiled: set[str] = set()
        """What is not what was encrypted."""
        self.asked: list[str] = []
        self._troubles: list[MatrixError] = []

    def fail(self, *errors: MatrixError) -> None:
        """Answer the next requests with these."""
        self._troubles += errors

    async def download(self, file: MediaFile, *, most: int) -> bytes:
        """What is in the file."""
        self.asked.append(file.url)
        if self._troubles:
            raise self._troubles.pop(0)
        if file.url not in self.files:
            raise Refused("no such file", status=404, errcode="M_NOT_FOUND", ours=not file.url.startswith("mxc://"))
        data = self.files[file.url]
        if len(data) > most:
            raise Refused("too large", errcode=TOO_LARGE, ours=True)
        if file.url in self.spoiled:
            raise Refused("spoiled", errcode=SPOILED, ours=True)
        return data
