"""Random models of a few thousand weights in the shapes of reward models on the hub, with tokenizers like theirs."""

import json
import os
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2ForTokenClassification,
    Qwen2Model,
    Qwen2PreTrainedModel,
)

SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
    "initializer_range": 0.25,
    "tie_word_embeddings": False,
}

TEXT = [" Step 1: 16 - 3 = 13 eggs left. ки\nStep 2: 9 * $2 = $18 a day. The answer is: 18 + - + - ки ки +\n\n"] * 9

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# As Llama 3.1's: a system turn with a date that may be given, and contents trimmed.
LLAMA = (
    "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\nToday Date: {{ date_string }}\n\n<|eot_id|>"
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


def mistral_tokenizer() -> PreTrainedTokenizerFast:
    """Words begin with ▁, bytes stand in for what is unknown, and a text opens with <s>."""
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    words, lines = pre_tokenizers.Split("▁", "merged_with_next"), pre_tokenizers.Split("\n", "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, lines])
    special = ["<unk>", "<s>", "</s>"]
    tokenizer.train_from_iterator(
        TEXT, trainers.BpeTrainer(vocab_size=500, special_tokens=[*special, *bytes_], show_progress=False)
    )
    state = json.loads(tokenizer.to_str())
    state["pre_tokenizer"] = None
    state["added_tokens"] = [one for one in state["added_tokens"] if one["content"] in special]
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )


def byte_tokenizer(special: list[str], template: str = "", **named: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE as Qwen's and Llama 3's, with special tokens and a chat template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXT, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=template or None, **named)


def qwen_tokenizer(bos: bool = False) -> PreTrainedTokenizerFast:
    """With <extra_0>; Skywork's has an opening token too."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>"]
    named = {"bos_token": "<|endoftext|>"} if bos else {}
    return byte_tokenizer(special, CHATML, eos_token="<|im_end|>", pad_token="<|endoftext|>", **named)


def llama_tokenizer() -> PreTrainedTokenizerFast:
    """With Llama 3's turns, and an end of turn that is also padding."""
    special = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = byte_tokenizer(
        special, LLAMA, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>", pad_token="<|eot_id|>"
    )
    opening = ("<|begin_of_text|>", tokenizer.convert_tokens_to_ids("<|begin_of_text|>"))
    tokenizer.backend_tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing("<|begin_of_text|> $A", special_tokens=[opening]),
        ]
    )
    return tokenizer


class Qwen2ForProcessRewardModel(Qwen2PreTrainedModel):
    """The class of Qwen2.5-Math-PRM: two linear layers on the last states."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = Qwen2Model(config)
        self.score = torch.nn.Sequential(
            torch.nn.Linear(config.hidden_size, config.hidden_size),
            torch.nn.ReLU(),
            torch.nn.Linear(config.hidden_size, 2),
        )
        self.post_init()

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.score(self.model(input_ids=input_ids).last_hidden_state)
        return logits


def _save(model: Any, tokenizer: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _words(tokenizer: Any) -> dict[str, Any]:
    return {**SHAPE, "vocab_size": len(tokenizer), "pad_token_id": None, "bos_token_id": None, "eos_token_id": None}


def save_math_shepherd(folder: Path) -> Path:
    """A Mistral whose sign is a word of its own."""
    tokenizer = mistral_tokenizer()
    return _save(MistralForCausalLM(MistralConfig(**_words(tokenizer))), tokenizer, folder)


def save_rlhflow(folder: Path) -> Path:
    """A Llama with Llama 3's turns."""
    tokenizer = llama_tokenizer()
    return _save(LlamaForCausalLM(LlamaConfig(**_words(tokenizer))), tokenizer, folder)


def save_qwen(folder: Path) -> Path:
    """Qwen's own class."""
    tokenizer = qwen_tokenizer()
    return _save(Qwen2ForProcessRewardModel(Qwen2Config(**_words(tokenizer))), tokenizer, folder)


def save_skywork(folder: Path) -> Path:
    """A whole Qwen2 with a value head beside it, as TRL's wrapper of old saves it."""
    tokenizer = qwen_tokenizer(bos=True)
    model = Qwen2ForCausalLM(Qwen2Config(**_words(tokenizer)))
    _save(model, tokenizer, folder)
    head = {"v_head.summary.weight": torch.randn(1, 32), "v_head.summary.bias": torch.randn(1)}
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file({**weights, **head}, folder / "model.safetensors", metadata={"format": "pt"})
    change_config(folder, architectures=["Qwen2ForPrmModel"])
    return folder


def save_trl(folder: Path) -> Path:
    """A token classifier of two classes."""
    tokenizer = qwen_tokenizer()
    return _save(Qwen2ForTokenClassification(Qwen2Config(**_words(tokenizer), num_labels=2)), tokenizer, folder)


def save_bradley_terry(folder: Path) -> Path:
    """A sequence classifier of one number."""
    tokenizer = llama_tokenizer()
    shape = {**_words(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    return _save(LlamaForSequenceClassification(LlamaConfig(**shape, num_labels=1)), tokenizer, folder)


def change_config(folder: Path, **fields: Any) -> None:
    """Sets fields of a folder's config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


SAVERS: dict[str, Callable[[Path], Path]] = {
    "math-shepherd": save_math_shepherd,
    "er-prm": save_math_shepherd,
    "rlhflow": save_rlhflow,
    "rlhflow-orm": save_rlhflow,
    "qwen-prm": save_qwen,
    "skywork": save_skywork,
    "trl": save_trl,
    "bradley-terry": save_bradley_terry,
}
"""What saves a model of each convention."""


COMMITS = {"main": "a" * 40, "old": "0f" * 20}
"""The branches of every repository of a `FakeHub`, and their commits; all hold the same files."""


class FakeHub:
    """A hub on this machine: what the hub's library asks for of some folders, and nothing else.

    Args:
        folders: Each folder by the kind and name of its repository, such as `models/owner/name`.

    Attributes:
        asked: The paths that were asked for.
    """

    def __init__(self, folders: dict[str, Path]) -> None:
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.append(self.path)
                found = hub._answer(unquote(self.path.partition("?")[0]).strip("/"), folders)
                self.send_response(200 if found else 404)
                for name, value in (found[1] if found else {"X-Error-Code": hub._missing(self.path, folders)}).items():
                    self.send_header(name, value)
                content = found[0] if found else b"{}"
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            do_HEAD = do_GET
            do_POST = do_GET

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> "FakeHub":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self, home: Path) -> dict[str, str]:
        """The environment of a process that has no other hub, and keeps what it fetches under `home`."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("HF_") and "proxy" not in name.lower()
        }
        address = f"http://127.0.0.1:{self._server.server_address[1]}"
        ours = {
            "HF_ENDPOINT": address,
            "HF_HOME": str(home / "cache"),
            "HF_HUB_DISABLE_XET": "1",
            "OMP_NUM_THREADS": "1",
        }
        return {**kept, **ours}

    @staticmethod
    def _missing(path: str, folders: dict[str, Path]) -> str:
        """What the hub says is not there."""
        known = any(repository.partition("/")[2] in path for repository in folders)
        return "EntryNotFound" if known else "RepoNotFound"

    @staticmethod
    def _answer(path: str, folders: dict[str, Path]) -> tuple[bytes, dict[str, str]] | None:
        for repository, folder in folders.items():
            kind, _, name = repository.partition("/")
            told = re.fullmatch(f"api/{repository}(?:/revision/(.+))?", path)
            listed = re.fullmatch(f"api/{repository}/(?:tree|paths-info)/([^/]+)(?:/(.*))?", path)
            resolved = re.fullmatch(f"{'' if kind == 'models' else kind + '/'}{name}/resolve/([^/]+)/(.+)", path)
            found = told or listed or resolved
            if found is None:
                continue
            asked = found[1] or "main"
            commit = COMMITS.get(asked, asked if asked in COMMITS.values() else None)
            files = sorted(one for one in folder.iterdir() if one.is_file())
            if commit is None:
                return None
            if told:
                siblings = [{"rfilename": one.name, "size": one.stat().st_size} for one in files]
                content: Any = {
                    "id": name,
                    "sha": commit,
                    "siblings": siblings,
                    "tags": [],
                    "private": False,
                    "downloads": 0,
                }
                return json.dumps(content).encode(), {"Content-Type": "application/json"}
            if listed:
                content = [
                    {"type": "file", "path": one.name, "size": one.stat().st_size, "oid": one.name} for one in files
                ]
                return json.dumps(content).encode(), {"Content-Type": "application/json"}
            file = folder / found[2]
            if not file.is_file():
                return None
            return file.read_bytes(), {"ETag": f'"{file.name}"', "X-Repo-Commit": commit}
        return None
