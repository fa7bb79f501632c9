"""Tells somebody who is not looking: webhook and e-mail at the end of a session and at a failed seat."""
