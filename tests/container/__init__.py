"""The image, in containers: `make image-test`."""
