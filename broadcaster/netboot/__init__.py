"""Hands the environment to PCs that start from the network, and sends all others to their own disks."""
