"""Images: what a machine boots from, made of Debian packages as an ordinary user.

An image is a folder with a manifest: a kernel, an initial file system that finds the disks, and
read-only squashfs layers that lie over each other. No package's code runs while it is made but
Debian's own Python, which compiles and fetches Python packages.
"""
