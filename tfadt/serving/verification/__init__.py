"""The proof of a version before anybody points traffic at it."""
