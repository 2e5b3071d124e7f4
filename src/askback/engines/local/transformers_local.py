"""The embedded engine: a checkpoint in this process, through transformers.

Beyond the library, it sorts rows by length into batches of a given number of tokens, reads the common prefix of a call's
prompts once, computes logits only where they are needed, and samples each row by its own seed (sampling.py).
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askback import models
from askback.engines.batching import Row, batches, common_prefix, continuation, shared_prefix
from askback.engines.local import attention
from askback.engines.local.decoding import Drawing
from askback.engines.local.hidden_states import layers_at, pooled
from askback.engines.local.kv_cache import token_bytes
from askback.engines.local.lines import can_pack, lay, to
from askback.engines.local.loading import load, multiplies_bfloat16, stop_tokens, truncate
from askback.engines.local.sampling import SeededSampler, draw
from askback.engines.protocol import CALLS, Completion, Likelihood, Sampling
from askback.engines.worker_context import WorkerContext
from askback.errors import InputError, MissingExtra
from askback.prompts import read, render, render_pair
from askback.prompts.prompt import Prompt

if TYPE_CHECKING:
    from askback.engines.protocol import States
    from askback.recipe import EngineOptions

_READ_TOKENS = {"cpu": 1024, "cuda": 65536}
"""Tokens in one forward pass. On a CPU more is slower: activations beyond the caches are read from memory in each layer."""
_DRAW_TOKENS = {"cpu": (8192, 32768), "cuda": (65536, 65536)}
"""Tokens of all rows that are sampled together: the least, and the most where their keys and values take no more than
`_DRAW_BYTES`. Each step reads all weights, whatever the number of rows."""
_DRAW_BYTES = 2**30
_OUTPUTS = {"cpu": 2**28, "cuda": 2**30}
"""Largest number of logits, or of numbers in hidden states, in one pass, which bounds memory whatever the model."""


class TransformersLocal:
    """A model loaded from a folder, on the GPU if there is one (`Engine` in protocol.py).

    The same call gives the same answers. With another batch size, or other prompts in the same call, numbers agree up to
    floating-point rounding.

    Args:
        model_folder: a checkpoint, or a LoRA adapter, which is merged into its base model.
        options: dtype and batch size.
        chat_template: path of a Jinja template to use instead of the tokenizer's own; "" for its own.

    Raises:
        InputError: the folder, or the template, is unusable.
        MissingExtra: torch or transformers is not installed.
    """

    calls = CALLS

    def __init__(
        self, model_folder: str, options: "EngineOptions", chat_template: str = "", worker: WorkerContext | None = None
    ) -> None:
        self._usage = (worker or WorkerContext()).usage
        folder = Path(model_folder)
        models.check_model(folder, chat_template)
        try:
            import torch
            from transformers import GenerationConfig
        except ImportError as error:
            raise MissingExtra(error.name or "transformers", "local", "the engine 'transformers'") from error
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._read_tokens = options.batch_tokens or _READ_TOKENS[self._device]
        dtype = torch.float32 if options.dtype == "float32" else torch.bfloat16
        self._model, self._tokenizer = load(folder, dtype, chat_template)
        if not multiplies_bfloat16():
            self._model.float()  # the same weights; only the arithmetic is rounded otherwise
        self._draw_tokens = options.batch_tokens or _draw_tokens(self._model, self._device)
        self._model.to(self._device)
        attention.use(self._model)
        self._packed = can_pack(self._model)
        self._stops = stop_tokens(self._tokenizer, self._model.generation_config)
        # A checkpoint's own sampling defaults (a temperature, a repetition penalty) would be applied otherwise.
        self._model.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=self._stops, pad_token_id=self._stops[0]
        )

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Sample one answer per prompt; the text is what follows `answer_start`."""
        pairs = list(zip(prompts, seeds, strict=True))
        rows = [render(self._tokenizer, prompt) for prompt, _ in pairs]
        lengths = [len(row) + sampling.max_new_tokens for row in rows]
        self._check_lengths(lengths)
        if not rows:
            return []
        if _can_share(self._model.config):
            drawn = self._draw(rows, sampling, [seed for _, seed in pairs])
        else:
            found: dict[int, list[int]] = {}
            for batch in batches(lengths, self._draw_tokens):
                padded = self._draw_padded([rows[at] for at in batch], sampling, [pairs[at][1] for at in batch])
                found.update(zip(batch, padded, strict=True))
            drawn = [found[at] for at in range(len(rows))]
        answers = [self._completion(answer) for answer in drawn]
        self._usage.count(sum(map(len, rows)), sum(answer.tokens for answer in answers))
        return answers

    def choose(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        """Return, per prompt, the log-probability of each choice after `answer_start`.

        The choices are encoded as part of the whole text. Where they differ in their last token alone, as " 1" to " 5" do,
        one pass serves all of them.
        """
        endings: dict[str, tuple[int, list[list[int]]]] = {}
        rows: list[Row] = []
        for prompt in prompts:
            # The tokens just before a choice, the template's end of turn and the answer start, are the same in all prompts.
            if prompt.answer_start not in endings:
                endings[prompt.answer_start] = self._endings(prompt, choices)
            dropped, tails = endings[prompt.answer_start]
            ids = render(self._tokenizer, prompt)
            rows += _choice_rows(ids[: len(ids) - dropped], tails)
        values = iter(self._score(rows, self._read_tokens, precise=True))
        return [_choice_values(values, endings[prompt.answer_start][1]) for prompt in prompts]

    def loglikelihood(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[Likelihood]:
        """Return the likelihood of each continuation as the whole answer, stop token included."""
        rows = [
            continuation(*render_pair(self._tokenizer, prompt, answer))
            for prompt, answer in zip(prompts, continuations, strict=True)
        ]
        most = _OUTPUTS[self._device] // self._model.config.get_text_config().vocab_size
        scored = self._score(rows, min(self._read_tokens, most))
        return [Likelihood(math.fsum(values), len(values)) for values in scored]

    def represent(self, prompts: Sequence[Prompt], answers: Sequence[str], depths: Sequence[float]) -> "list[States]":
        """Return, per prompt, the pooled hidden states of its answer, stop token included, at these depths of the model."""
        pairs = [render_pair(self._tokenizer, *pair) for pair in zip(prompts, answers, strict=True)]
        rows = [(asked + answer, len(asked)) for asked, answer in pairs]
        lengths = [len(ids) for ids, _ in rows]
        self._check_lengths(lengths)
        config = self._model.config.get_text_config()
        most = _OUTPUTS[self._device] // (config.hidden_size * (config.num_hidden_layers + 1))
        layers = layers_at(self._model, depths)
        found: dict[int, States] = {}
        for batch in batches(lengths, min(self._read_tokens, most), self._packed):
            states = pooled(self._model, [rows[at] for at in batch], layers, self._packed, self._stops[0])
            found.update(zip(batch, states, strict=True))
        self._usage.count(sum(lengths))
        return [found[at] for at in range(len(rows))]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of `text`, cut at a token's end, that encodes to at most `max_tokens`."""
        return truncate(self._tokenizer, text, max_tokens)

    def _endings(self, prompt: Prompt, choices: Sequence[str]) -> tuple[int, list[list[int]]]:
        """Return the number of the prompt's last tokens that a choice may alter, and each choice's tokens from there on."""
        alone = render(self._tokenizer, prompt)
        whole = [
            render(self._tokenizer, replace(prompt, answer_start=prompt.answer_start + choice)) for choice in choices
        ]
        same = common_prefix([alone, *whole])
        return len(alone) - same, [ids[same:] for ids in whole]

    def _check_lengths(self, lengths: Sequence[int]) -> None:
        limit = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        if limit and lengths and max(lengths) > limit:
            raise InputError(
                f"{self._tokenizer.name_or_path}: row {lengths.index(max(lengths))} takes {max(lengths)} tokens, answer "
                f"included, and the model reads at most {limit}; lower the recipe's token limits, or use another model"
            )

    def _score(self, rows: Sequence[Row], budget: int, precise: bool = False) -> list[list[float]]:
        """Return the wanted log-probabilities of each row; `precise` computes logits in float32, for comparisons."""
        import torch

        self._check_lengths([len(row.ids) for row in rows])
        scored: dict[int, list[float]] = {}
        with torch.inference_mode(), _float32_head(self._model) if precise else nullcontext():
            shared = shared_prefix(rows) if _can_share(self._model.config) else 0
            cache = self._read_prefix(rows[0].ids[:shared]) if shared else None
            for batch in batches([len(row.ids) - shared for row in rows], budget, self._packed):
                values = self._logprobs([rows[at] for at in batch], shared, cache)
                scored.update(zip(batch, values, strict=True))
        self._usage.count(sum(len(row.ids) for row in rows))
        return [scored[at] for at in range(len(rows))]

    def _read_prefix(self, ids: list[int]) -> Any:
        import torch
        from transformers import DynamicCache
        from transformers.cache_utils import Cache

        filled = DynamicCache()
        self._model(torch.tensor([ids], device=self._device), cache=filled, use_cache=True, logits_to_keep=1)
        return Cache(layers=[_shared_layer()(layer.keys, layer.values) for layer in filled.layers])

    def _logprobs(self, rows: list[Row], shared: int, cache: Any) -> list[list[float]]:
        """Run one batch."""
        import torch

        laid = lay([row.ids[shared:] for row in rows], self._packed, self._stops[0], shared)
        wanted = [
            [line, column + position - shared, token]
            for row, (line, column) in zip(rows, laid.places, strict=True)
            for position, token in row.wanted
        ]
        at, position, token = torch.tensor(wanted, dtype=torch.long).reshape(-1, 3).T
        keep = torch.zeros_like(laid.ids, dtype=torch.bool)
        keep[at, position] = True
        # Logits of the kept positions come as one flat list; this is the index of each.
        place = (keep.flatten().cumsum(0) - 1).view_as(keep)[at, position]
        ids, _, rest = to(laid, self._device)
        keep = keep.to(self._device)
        logits = self._model(ids, cache=cache, use_cache=False, logits_to_keep=keep, **rest).logits
        values = iter(_pick(logits, place.to(self._device), token.to(self._device)))
        return [[next(values) for _ in row.wanted] for row in rows]

    def _draw(self, rows: list[list[int]], sampling: Sampling, seeds: list[int]) -> list[list[int]]:
        def choose(logits: Any, numbers: list[int], drawn: list[int]) -> list[int]:
            if sampling.temperature == 0:
                return list(logits.argmax(-1).tolist())
            logits = logits.float() / sampling.temperature
            return list(draw(logits, sampling.top_p, [seeds[number] for number in numbers], drawn).tolist())

        return Drawing(
            self._model,
            rows,
            choose,
            sampling.max_new_tokens,
            self._stops,
            self._read_tokens,
            self._draw_tokens,
            self._packed,
        ).run()

    def _draw_padded(self, rows: list[list[int]], sampling: Sampling, seeds: list[int]) -> list[list[int]]:
        """Sample with the library's own loop, for a model whose layers keep more than keys and values of single tokens."""
        import torch
        from transformers import LogitsProcessorList

        width = max(map(len, rows))
        padded = [[self._stops[0]] * (width - len(row)) + row for row in rows]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        drawing = [SeededSampler(seeds, sampling.temperature, sampling.top_p)] if sampling.temperature > 0 else []
        with torch.inference_mode():
            output = self._model.generate(
                torch.tensor(padded, device=self._device),
                attention_mask=torch.tensor(mask, device=self._device),
                logits_processor=LogitsProcessorList(drawing),
                max_new_tokens=sampling.max_new_tokens,
                prefill_chunk_size=max(1, self._read_tokens // len(rows)),
            )
        return list(output[:, width:].tolist())

    def _completion(self, answer: list[int]) -> Completion:
        length = next((at for at, token in enumerate(answer) if token in self._stops), len(answer))
        return Completion(read(self._tokenizer, answer[:length]), length, length < len(answer))


@contextmanager
def _float32_head(model: Any) -> Iterator[None]:
    """Compute logits in float32 from the last hidden state.

    In bfloat16 a logit above 16 is a multiple of 1/8, which left two digits tied in half of all pairs.
    """
    from torch.nn.functional import linear

    def exact(head: Any, inputs: Any, _: Any) -> Any:
        return linear(inputs[0].float(), head.weight.float(), None if head.bias is None else head.bias.float())

    with model.get_output_embeddings().register_forward_hook(exact):
        yield


def _choice_rows(context: list[int], tails: list[list[int]]) -> list[Row]:
    """Return one row that serves all choices if they differ in one token alone, else one row per choice."""
    same = common_prefix(tails)
    if any(len(tail) != same + 1 for tail in tails):
        return [continuation(context, tail) for tail in tails]
    one = continuation(context, tails[0])
    return [Row(one.ids, one.wanted[:-1] + [(len(one.ids) - 1, tail[-1]) for tail in tails])]


def _choice_values(values: Any, tails: list[list[int]]) -> list[float]:
    same = common_prefix(tails)
    if any(len(tail) != same + 1 for tail in tails):
        return [sum(next(values)) for _ in tails]
    row = next(values)
    return [sum(row[:same]) + last for last in row[same:]]


def _pick(logits: Any, places: Any, tokens: Any) -> list[float]:
    """Return the log-probability of each token at its place, normalised in float32 over the vocabulary, in small parts."""
    import torch

    totals = torch.cat([part.float().logsumexp(-1) for part in logits.split(512)])
    return list((logits[places, tokens].float() - totals[places]).tolist())


def _draw_tokens(model: Any, device: str) -> int:
    """Return the default number of tokens that are sampled together."""
    least, most = _DRAW_TOKENS[device]
    if not _can_share(model.config):
        return least
    return max(least, min(most, _DRAW_BYTES // token_bytes(model)))


def _can_share(config: Any) -> bool:
    """Return whether a prefix can be reused: every layer keeps keys and values of single tokens only."""
    kinds = getattr(config.get_text_config(), "layer_types", None) or ["full_attention"]
    return set(kinds) <= {"full_attention", "sliding_attention"}


@lru_cache(maxsize=1)
def _shared_layer() -> Any:
    """Return the cache layer of a prefix that all rows of all batches share.

    transformers' own caches hold a copy of the prefix for every row and keep what is read after it. This one holds the
    prefix once, shows it to every row, and keeps nothing.
    """
    import torch
    from transformers.cache_utils import DynamicLayer

    class SharedLayer(DynamicLayer):  # type: ignore[misc]
        def __init__(self, keys: Any, values: Any) -> None:
            super().__init__()
            super().update(keys, values)

        def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            rows = key_states.shape[0]
            return (
                torch.cat([self.keys.expand(rows, -1, -1, -1), key_states], dim=-2),
                torch.cat([self.values.expand(rows, -1, -1, -1), value_states], dim=-2),
            )

    return SharedLayer
