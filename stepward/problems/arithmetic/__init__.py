"""The arithmetic world: generated word problems whose solution steps a program can check."""
