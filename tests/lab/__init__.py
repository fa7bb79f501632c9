"""Labs on one machine: a network of namespaces (``network``), and virtual machines that boot in it (the others).

``make lab`` runs ``python -m tests.lab``; what it does is told in ``steps``.
"""

from tests.lab.network import (
    INTERFACE,
    Counters,
    Host,
    Lab,
    LabError,
    missing_requirement,
    remove_leftovers,
)

__all__ = ["INTERFACE", "Counters", "Host", "Lab", "LabError", "missing_requirement", "remove_leftovers"]
