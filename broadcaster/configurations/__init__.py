"""What is done to the disks of a room or image once they are verified: read, checked, rendered, served, remembered."""
