"""``python -m benches.unsealed KERNEL ARGV``: slatecast with datagrams that are copied, not sealed; for bench_seal.

KERNEL is a file made by ``build_kernel``: the seal's own C kernel, linked to a libcrypto that only copies. So all but
the cipher is the same: the calls, the batches, the lengths on the wire. It protects nothing, and slatecast itself
cannot be told to use it.
"""

import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

from benches.usage import BenchError

ROOT: Final = Path(__file__).parents[1]

LIBRARIES: Final = '"libcrypto.so.3", "libcrypto.so.1.1"'
"""What the kernel looks for; must be in its source once."""

FLAGS: Final = ("-O3", "-shared", "-fPIC", "-DPy_LIMITED_API=0x030B0000")
"""As setup.py builds it."""


def build_kernel(folder: Path) -> Path:
    """Compile the copying kernel into ``folder``.

    Raises:
        BenchError: no compiler, or the kernel's source is not what this expects.
    """
    source = (ROOT / "protocol" / "_seal.c").read_text(encoding="utf-8")
    if source.count(LIBRARIES) != 1:
        raise BenchError(f"protocol/_seal.c no longer looks for {LIBRARIES}: this bench needs a look")
    library, kernel, copied = folder / "libunsealed.so", folder / "_seal.so", folder / "_seal.c"
    copied.write_text(source.replace(LIBRARIES, f'"{library}"'), encoding="utf-8")
    _compile(library, ROOT / "benches" / "unsealed_libcrypto.c")
    _compile(kernel, copied, f"-I{sysconfig.get_path('include')}")
    return kernel


def _compile(result: Path, source: Path, *options: str) -> None:
    try:
        ran = subprocess.run(
            ["cc", *FLAGS, *options, "-o", result, source], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise BenchError("a C compiler is needed: apt-get install gcc libc6-dev") from None
    if ran.returncode:
        raise BenchError(f"cc {source.name}: {ran.stderr.strip()}")


def _use(kernel: Path) -> None:
    """Without the known answer that ``protocol.seal`` asks of its kernels: this one cannot give it."""
    from protocol import seal  # noqa: PLC0415 - build_kernel must work where slatecast is not imported

    spec = importlib.util.spec_from_file_location("_seal", kernel)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if module.LIBCRYPTO != "unsealed":
        raise SystemExit(f"{kernel} is not a copying kernel")
    seal._selected = seal._Kernel("unsealed", module.seal_symbols, module.open_batch)


if __name__ == "__main__":
    from slatecast.__main__ import main

    _use(Path(sys.argv.pop(1)))
    main()
