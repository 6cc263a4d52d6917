"""The hooks that `azd` runs (azure.yaml). Standard library only; they work alike on Linux, macOS and Windows."""
