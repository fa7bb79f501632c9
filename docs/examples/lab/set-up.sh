#!/bin/sh
# Runs inside the system on the disk, as root, without a network unless the configuration gives it one.
set -eu
echo "set up for $2"
