"""What is done to a disk after it was written and verified, before its own system starts."""
