"""The hooks that `azd` runs (azure.yaml). Standard library only; they work on Linux, macOS and Windows."""
