"""The rooms of the fleet: which seats stand where, and which machine is on each."""
