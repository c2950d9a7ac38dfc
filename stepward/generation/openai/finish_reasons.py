"""How servers say that a completion ended: their words in one table, since each family has its own.

vLLM, SGLang, TGI, llama.cpp, Ollama, TensorRT-LLM, and the hosted ones: OpenAI, Azure, Anthropic, Gemini, Mistral,
Cohere, DeepSeek, Together, Fireworks, OpenRouter. A word that is not here is never guessed at: a stop that is taken for
a cut would make every label 0 without a word.
"""

from collections.abc import Mapping
from typing import Literal

Ending = Literal["stop", "length", "filtered", "again", "tool"]
"""The model ended; a limit cut it; a filter kept it back; the server failed; it called a tool and wrote no solution."""

_WORDS: dict[Ending, str] = {
    "stop": "stop eos eos_token stop_sequence stop_token end_turn complete",
    "length": "length max_tokens max_length model_length model_context_window_exceeded limit repetition",
    "filtered": "content_filter content_filtered safety recitation refusal blocklist prohibited_content spii "
    "error_toxic language other",
    "again": "abort aborted cancelled error load unload timeout error_limit insufficient_system_resource pause_turn",
    "tool": "tool_calls tool_call tool_use function_call malformed_function_call",
}
_TABLE: dict[str, Ending] = {word: ending for ending, words in _WORDS.items() for word in words.split()}


def ending_of(word: str, own: Mapping[str, Ending]) -> Ending | None:
    """What a server's word means; None for one that nobody knows.

    Args:
        word: Its `finish_reason`.
        own: Words that the user says the meaning of; they stand over the table.
    """
    return own.get(word) or _TABLE.get(word.casefold())
