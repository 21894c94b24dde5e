"""One machine: everything in a KinD or k3d cluster of one node."""
