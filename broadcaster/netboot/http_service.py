"""What loaders ask for by HTTP: the machine's own script, kernel, initrd, and the loader for firmware that boots so.

    GET /boot.ipxe?mac=ADDRESS    iPXE's script for that machine; one for its own disk where the address is none
    GET /vmlinuz, /initrd.img     with ranges, from the file to the socket by the kernel
    GET /ipxe.efi                 for UEFI that boots by HTTP without Secure Boot

There is no other path, nothing is written, and the listener bounds connections and patience.
"""

import logging
import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from broadcaster.http_listener import PRODUCT
from broadcaster.netboot.decisions import Boots, Decision
from broadcaster.netboot.scripts import Scripts
from protocol.fields import is_mac_address

MAX_ADDRESS: Final = 17
"""[characters] six pairs and what parts them"""

_METHODS: Final = ("GET", "HEAD")
"""UEFI asks for the length first."""

_logger = logging.getLogger(__name__)


class BootFiles:
    """Answers requests.

    Args:
        scripts: what loaders are told.
        decide: what a machine boots, by its address.
        files: what may be loaded, by name.
        told: is called with an address and what its machine boots.
    """

    def __init__(
        self,
        scripts: Scripts,
        decide: Callable[[str], Decision],
        files: dict[str, Path],
        told: Callable[[str, Decision], object],
    ) -> None:
        self._scripts = scripts
        self._decide = decide
        self._files = {f"/{name}": file for name, file in files.items()}
        self._told = told

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The response to a request."""
        if request.method not in _METHODS:
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED)
        if request.path == "/boot.ipxe":
            return web.Response(text=self._script(request.query.get("mac", "")), headers=PRODUCT)
        file = self._files.get(request.path)
        if file is None:
            return _refusal(HTTPStatus.NOT_FOUND)
        return _File(file, headers=PRODUCT)

    def _script(self, asked: str) -> str:
        address = machine_address(asked)
        if address is None:
            _logger.warning("a loader asked without an address: it boots its own disk")
            return self._scripts.ipxe(Decision(Boots.OWN_DISK), "")
        decision = self._decide(address)
        self._told(address, decision)
        return self._scripts.ipxe(decision, address)


class _File(web.FileResponse):
    """Ends quietly when its reader is gone without a word, as PCs go that are switched off."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        try:
            return await super().prepare(request)
        except TimeoutError as error:
            raise ConnectionResetError(str(error)) from None  # the only kind that the library takes for a reader's end


def machine_address(text: str) -> str | None:
    """The address with colons in lower case; None for what is none."""
    address = re.sub("-", ":", text[: MAX_ADDRESS + 1].lower())
    return address if is_mac_address(address) else None


def _refusal(status: HTTPStatus) -> web.Response:
    response = web.Response(status=status, text=f"{status.phrase}\n", headers=PRODUCT)
    response.force_close()
    return response
