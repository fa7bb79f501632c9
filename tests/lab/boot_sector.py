"""The smallest system that starts: 40 bytes in front of a disk that say a word on the serial port and stop.

A BIOS runs them if, and only if, the disk is one that it would start a real system from: what a power cut has left can
be judged by the firmware itself, in a second or two.
"""

from typing import Final

LONGEST_WORD: Final = 64
"""[characters] Boot code of a GPT disk ends at byte 440."""

_SAY: Final = bytes.fromhex(
    "fc"  # cld
    "31c0"  # xor ax, ax
    "8ed8"  # mov ds, ax
    "be147c"  # mov si, 0x7c14: the word
    "baf803"  # mov dx, 0x3f8: COM1
    "ac"  # next: lodsb
    "ee"  # out dx, al
    "84c0"  # test al, al
    "75fa"  # jnz next
    "f4"  # hlt
    "ebfd"  # jmp to hlt
)


def put_boot_sector(sector: bytes, word: str) -> bytes:
    """``sector``, the first of a disk, with code in front that says ``word``; the partition table stays."""
    if not 0 < len(word) <= LONGEST_WORD:
        raise ValueError(f"a word has 1 to {LONGEST_WORD} characters, not {len(word)}")
    code = _SAY + b"\r\n" + word.encode("ascii") + b"\r\n\0"
    return code + sector[len(code) : 510] + b"\x55\xaa"
