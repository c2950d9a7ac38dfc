"""What a recipe may set of engines that are not Stepward's own; names and values are checked before anything runs."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepward.errors import Code, StepwardError

Positive = Annotated[int, Field(ge=1)]
Kind = TypeVar("Kind", bound=BaseModel)


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class VLLMOptions(_Options):
    """Arguments of vLLM's engine, by their names there; what is not given is vLLM's own choice.

    Attributes:
        gpu_memory_utilization: The share of a card's memory for weights and cache.
        kv_cache_memory_bytes: The cache's bytes; stands over the share.
        tensor_parallel_size: Cards that share each layer.
        pipeline_parallel_size: Cards that share out the layers.
        dtype: Such as `bfloat16`.
        quantization: Such as `fp8`.
        kv_cache_dtype: Such as `fp8`.
        max_model_len: The context, in tokens.
        max_num_seqs: Draws decoded together.
        max_num_batched_tokens: Tokens read or written in one step.
        block_size: Tokens in a block of the cache; prefixes are shared by whole blocks.
        enforce_eager: Whether to go without CUDA graphs and compilation.
    """

    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    kv_cache_memory_bytes: Positive | None = None
    tensor_parallel_size: Positive | None = None
    pipeline_parallel_size: Positive | None = None
    dtype: str | None = None
    quantization: str | None = None
    kv_cache_dtype: str | None = None
    max_model_len: Positive | None = None
    max_num_seqs: Positive | None = None
    max_num_batched_tokens: Positive | None = None
    block_size: Positive | None = None
    enforce_eager: bool | None = None


class ServerOptions(_Options):
    """How a server is asked.

    Attributes:
        concurrency: Requests under way at once, at most.
        choices: Completions asked for by one request, at most. 1 for servers that take no `n`.
        timeout: Seconds until a request without an answer is given up.
        retries: How often a failed request is asked again.
        backoff: Seconds before the first retry; it doubles each time, up to `longest_wait`.
        longest_wait: Seconds between two tries, at most; `Retry-After` is honoured up to it.
        served_as: The model's name in the server's answers, where it is not the one asked for.
        price_in: Price of a million tokens read.
        price_out: Price of a million tokens written.
        extra: Further fields of every request; null leaves one out.
        finish_reasons: What the server's own words for how a completion ended mean, where they are unknown.
        probe: Whether it is tried, before the first draws, that the server answers and goes on from a prefix.
    """

    concurrency: Positive = 16
    choices: Positive = 16
    timeout: Annotated[float, Field(gt=0)] = 60.0
    retries: Annotated[int, Field(ge=0)] = 6
    backoff: Annotated[float, Field(ge=0)] = 0.5
    longest_wait: Annotated[float, Field(ge=0)] = 60.0
    served_as: str | None = None
    price_in: Annotated[float, Field(ge=0)] = 0.0
    price_out: Annotated[float, Field(ge=0)] = 0.0
    extra: dict[str, Any] = {}
    finish_reasons: dict[str, Literal["stop", "length", "filtered"]] = {}
    probe: bool = True


def read_options(kind: type[Kind], options: dict[str, Any]) -> Kind:
    """The options, checked.

    Raises:
        StepwardError: One is unknown or has another kind of value; names it, and what was expected.
    """
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise StepwardError(
                f"options.{name}: no such option; expected one of {', '.join(kind.model_fields)}",
                code="unknown_name",
                field=f"options.{name}",
            ) from None
        code: Code = "wrong_type" if first["type"].endswith("_type") else "bad_value"
        message = f"options.{name} is {first['input']!r}: {first['msg']}"
        raise StepwardError(message, code=code, field=f"options.{name}") from None
