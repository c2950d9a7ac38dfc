"""A small computer algebra system for answers: exact, and fast enough for millions of pairs."""
