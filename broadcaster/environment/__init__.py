"""The environment that PCs boot to be reimaged: kernel, initrd and loaders, made from Debian packages and our own."""
