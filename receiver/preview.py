"""What a disk holds of an image that may not be written there yet: looked at through a descriptor that cannot write.

What it finds says what the disk will miss; it is a forecast, no more. When the image may be written the disk is marked
and scanned anew (``scan``), since only what is read after that is known to last.
"""

from protocol.manifest import Manifest
from receiver.blockdevice import BlockDevice
from receiver.chunk_ledger import ChunkLedger
from receiver.disk_edges import DiskEdges
from receiver.disk_layout import DiskLayout
from receiver.readback import Progress, StopRequest
from receiver.scan import DiskScan, OnPresent, body_sbns
from receiver.target import check_geometry


def preview(
    device: BlockDevice, manifest: Manifest, on_present: OnPresent, progress: Progress, should_stop: StopRequest
) -> None:
    """Tell which chunks of the image ``device`` holds; reads only, and blocks until done or stopped.

    Args:
        device: to be read; nothing else of it is called.
        manifest: of the image.
        on_present: told sbns, each once, in batches and from any thread.
        progress: told the blocks looked at and to look at, 0 if the disk is not worth a scan; from any thread.
        should_stop: asked before each read.

    Raises:
        TargetError: the disk is too small for the image, or of another sector size.
    """
    check_geometry(device.name, device.size, device.logical_sector_size, manifest.header)
    layout = DiskLayout(manifest.header, device.size)
    edges = DiskEdges(device, manifest, layout)
    body = body_sbns(manifest, layout)
    was_marked = edges.has_marker()
    kept = [
        sbn
        for sbn in (*range(body.start), *range(body.stop, len(manifest)))
        if not should_stop() and edges.keep_matching(manifest[sbn])
    ]
    if kept:
        on_present(kept)
    scan = DiskScan(device, manifest, body, ChunkLedger(len(manifest)))
    if was_marked or scan.finds_any(should_stop):
        scan.run(on_present, progress, should_stop)
    else:
        progress(0, 0)
