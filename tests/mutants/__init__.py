"""Is the simulator blind? Bugs are planted in copies of the packages, and its rooms must find every one of them.

``make mutants`` runs ``hunt``: each mutant of ``catalogue`` is applied to a copy of its own (``copies``) and played by
a process of its own (``play``), seed after seed, until a room shows a problem. One that none of 1,000 seeds shows has
survived: then the simulator must be made stronger, not the mutant weaker.
"""
