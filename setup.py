"""The two C kernels; everything else is in pyproject.toml.

SLATECAST_BUILD_KERNELS: unset = try and fall back to the pure twins, ``yes`` = must build, ``no`` = pure only.
"""

import os
import sysconfig

from setuptools import Extension, setup

LIMITED_API = "0x030B0000"  # the buffer protocol joined the limited API in 3.11

demand = os.environ.get("SLATECAST_BUILD_KERNELS", "")
is_free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
kernels = [
    Extension(
        f"protocol.{name}",
        [f"protocol/{name}.c"],
        define_macros=[("Py_LIMITED_API", LIMITED_API)],
        extra_compile_args=["-O3", "-Wall", "-Wextra"],
        py_limited_api=True,
        optional=demand != "yes",
    )
    for name in ("_gf256", "_seal")
]
setup(
    ext_modules=[] if demand == "no" or is_free_threaded else kernels,
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
