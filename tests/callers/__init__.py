"""The files that users import, run by clients that implement the rules of the calling services."""
