"""The seat: what runs on a PC that booted the environment, from its first screen to its restart."""
