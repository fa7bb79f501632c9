"""A whole room in one process under virtual time: the very session classes, a network and a broker with faults.

Everything is drawn from one seed, so a failing seed replays identically. Nothing here waits or asks the time.
"""
