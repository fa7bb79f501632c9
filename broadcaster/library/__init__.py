"""The image library: content-addressed chunks and manifests on the local file system."""
