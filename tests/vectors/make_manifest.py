"""Write manifest.json: manifests built by hand from docs/protocol.md, for any other implementation to reproduce.

    python -m tests.vectors.make_manifest

Only struct, json and blake3 compute here, never slatecast.
"""

import json
import struct
from pathlib import Path
from typing import Any

from blake3 import blake3

PATH = Path(__file__).with_name("manifest.json")
CHUNK_SIZE = 262144
STORED_CONTEXT = "slatecast 2026-11 stored block of a disk"


def main() -> None:
    """Compute all vectors and replace the file."""
    partition = {
        "number": 1,
        "offset": 1048576,
        "length": 524288,
        "type": "83",
        "filesystem": "ext4",
        "label": "r\u00f6\u00f6t",
        "used_bytes": 4096,
    }
    vectors = [
        _vector("no chunks", 512, [], [[0, 1]], []),
        _vector(
            "two chunks, the last one short",
            1048576 + 524288 + 512,
            [(4, b"stored"), (6, b"x" * 512)],
            [[0, 3]],
            [partition],
        ),
    ]
    PATH.write_text(json.dumps(vectors, indent=1) + "\n")


def _vector(
    title: str, disk_size: int, chunks: list[tuple[int, bytes]], zero_ranges: list[list[int]], partitions: list[Any]
) -> dict[str, Any]:
    key = blake3(struct.pack(">QII", disk_size, 512, CHUNK_SIZE), derive_key_context=STORED_CONTEXT).digest()
    rows = b""
    for chunk_id, stored in chunks:
        offset = chunk_id * CHUNK_SIZE
        place = struct.pack(">QI", offset, min(CHUNK_SIZE, disk_size - offset))
        raw_digest = blake3(b"raw %d" % chunk_id).digest()
        rows += struct.pack(">II", chunk_id, len(stored)) + raw_digest + blake3(place + stored, key=key).digest()
    header = {
        "format": 1,
        "image_id": "00112233445566778899aabbccddeeff",
        "name": "lab-2026",
        "version": 3,
        "created": "2026-11-21T07:30:00Z",
        "source": "/images/lab.qcow2",
        "disk_size": disk_size,
        "logical_sector_size": 512,
        "partition_table": "dos" if partitions else "none",
        "partitions": partitions,
        "chunk_size": CHUNK_SIZE,
        "codec": "zstd",
        "stored_chunk_count": len(chunks),
        "stored_bytes": sum(len(stored) for _, stored in chunks),
        "zero_ranges": zero_ranges,
        "rows_digest": blake3(rows).hexdigest(),
    }
    encoded = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    prefix = b"SLATEMAN" + struct.pack(">I", len(encoded)) + encoded
    return {
        "title": title,
        "header": header,
        "manifest": (prefix + rows).hex(),
        "digest": blake3(prefix).hexdigest(),
        "chunks": [{"chunk_id": chunk_id, "stored": stored.hex()} for chunk_id, stored in chunks],
    }


if __name__ == "__main__":
    main()
