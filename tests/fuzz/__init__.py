"""Coverage-guided fuzzing of every parser that reads bytes of the network or of an image.

``targets`` lists the parsers, their seeds from the golden vectors, and the errors that may leave. ``make test`` plays
the seeds and random changes of them (``test_targets``); ``make fuzz`` runs atheris for a minute each (``hunt``, which
starts ``drive``). Where a parser is a tool's (sfdisk, blkid, partclone), its output is what is fuzzed.
"""
