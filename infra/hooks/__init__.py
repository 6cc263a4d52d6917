"""What `azd` runs around a deployment (azure.yaml). Standard library only, the same on Linux, macOS and Windows."""
