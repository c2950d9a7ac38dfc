"""Seeds for engines that draw by themselves: one a draw, counted up from one a prompt.

vLLM, on this machine or as a server, gives the j-th of a request's n choices the request's seed plus j. So draws of a
prompt have the same seeds whether they are asked for at once, in waves, or one by one, and growing draws new ones only.
"""

import hashlib

_BITS = 31
"""Servers differ in how wide a seed may be; all take 32 bits, and some keep the highest number for themselves."""


def draw_seed(seed: int, prompt_id: str, draw: int) -> int:
    """The seed of one draw: below 2^31 for draw 0, and one higher for each that follows."""
    digest = hashlib.blake2b(f"{seed}\0{prompt_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") % (1 << _BITS) + draw
