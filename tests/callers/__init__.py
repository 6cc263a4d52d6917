"""Tests of the files that users import. Clients that implement the rules of the calling services run them."""
