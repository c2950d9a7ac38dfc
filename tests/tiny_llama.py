"""A random Llama of two layers, small enough to run in a blink, with a tokenizer of single characters."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHARACTERS = "\n .0123456789abcdefghijk"
SPECIAL = ("<pad>", "<s>", "</s>")


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character of `CHARACTERS`, no others."""
    tokens = [*SPECIAL, *CHARACTERS]
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    pad, bos, eos = SPECIAL
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=pad, bos_token=bos, eos_token=eos)


def save_llama(folder: Path, **changes: object) -> Path:
    """Saves the model with its tokenizer; its weights are wide, so that its chances are far from equal."""
    shape: dict[str, Any] = {
        "vocab_size": len(SPECIAL) + len(CHARACTERS),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 128,
        "initializer_range": 0.25,
        "tie_word_embeddings": False,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**(shape | changes))).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder
