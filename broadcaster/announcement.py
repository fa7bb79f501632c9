"""Builds the announcement of a session from its manifest. Pure: tsi, addresses and signature come from the caller."""

from protocol import PROTOCOL_VERSION
from protocol.digests import StoredDigest
from protocol.disk_fit import least_size
from protocol.errors import LibraryError
from protocol.fields import encode_tsi
from protocol.firmware import image_firmware
from protocol.manifest import CHUNK_SIZE, Manifest
from protocol.messages import Announcement, FecOti, ImageSummary

MAX_MANIFEST_BLOCKS = 2048
"""The announcement's bound; 512 MiB of manifest, a disk of 1.7 TiB without any free space."""


def build_announcement(
    manifest: Manifest,
    *,
    tsi: int,
    image_key: bytes,
    image_signature: bytes,
    group: str,
    port: int,
    source: str,
    oti: FecOti,
    catch_up_url: str = "",
) -> Announcement:
    """The announcement of a session that sends ``manifest`` and its chunks from ``source`` to ``group``.

    Raises:
        LibraryError: the manifest is too large to be announced.
    """
    digest = StoredDigest.for_manifest(manifest.digest)
    header, length = manifest.header, manifest.encoded_length
    offsets = range(0, length, CHUNK_SIZE)
    if len(offsets) > MAX_MANIFEST_BLOCKS:
        raise LibraryError(f"image {header.name} has a manifest of {length} bytes, too large to announce")
    return Announcement(
        protocol_version=PROTOCOL_VERSION,
        tsi=encode_tsi(tsi),
        image=ImageSummary(
            name=header.name,
            version=header.version,
            disk_size=header.disk_size,
            logical_sector_size=header.logical_sector_size,
            stored_bytes=header.stored_bytes,
            firmware=image_firmware(header),
            least_size=least_size(header),
        ),
        group=group,
        port=port,
        source=source,
        oti=oti,
        manifest_digest=manifest.digest,
        image_key=image_key,
        image_signature=image_signature,
        manifest_length=length,
        manifest_block_digests=tuple(
            digest.of(offset, len(block), block) for offset in offsets for block in (manifest.read(offset, CHUNK_SIZE),)
        ),
        catch_up_url=catch_up_url,
    )
