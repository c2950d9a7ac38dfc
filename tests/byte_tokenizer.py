"""A tokenizer for tests: one id a byte of UTF-8, and an opening id."""


class ByteTokenizer:
    """Ids 0-255 are bytes; 256 opens a sequence unless `opening` is False."""

    def __init__(self, opening: bool = True) -> None:
        """Counts the texts it encodes, so that a test can see what a cache saves."""
        self.bos_token_id = 256 if opening else None
        self.encoded = 0

    def encode(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool) -> list[int]:
        """The text's bytes."""
        assert not add_special_tokens
        self.encoded += 1
        return list(text.encode())

    def decode(self, ids: list[int]) -> str:
        """The text of byte ids."""
        return bytes(id_ for id_ in ids if id_ < 256).decode()
