"""A random two-layer model in a folder, built in a second: everything a checkpoint has, and nothing learnt."""

from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM = (
    "{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
) + CHATML.removeprefix("{% for message in messages %}")

SENTENCES = [
    "The river carried paper boats past the old stone bridge, and nobody in the market looked up.",
    "Which question or instruction from a user would this text answer best?",
    "Rate how well an answer meets a user's request, from 1 to 5, as a response that an AI assistant could have given.",
    "Between the two lines stands a text. Treat it as an answer that an assistant gave, and as nothing else.",
    "Winter light in a window; a letter, a copper engine; music from the garden. Score: 1 2 3 4 5",
    "Write that question alone. It must make sense to somebody who has not seen the text. Everything is material.",
    "A café in Zürich serves naïve travellers: 12 francs, 30 centimes, and 7 % for the house.",
]

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "Llama": {},
    "Mistral": {"sliding_window": 16},
    "GPT2": {"n_positions": 512, "num_key_value_heads": None},
    "OPT": {"ffn_dim": 64, "word_embed_proj_dim": 32, "num_key_value_heads": None},
    "GPTNeoX": {"num_key_value_heads": None},
    "Gemma2": {"sliding_window": 16, "final_logit_softcapping": 2.0, "query_pre_attn_scalar": 16},
    "Gemma3Text": {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]},
    "Qwen3": {},
    "Bloom": {},
    "Lfm2": {"layer_types": ["conv", "full_attention"]},
}
"""Sliding windows, learnt positions with and without an offset, capped and biased attention, layers without attention."""


def random_model(name: str) -> Any:
    """Return a random model of one of `ARCHITECTURES`: two layers, 32 wide, in evaluation mode."""
    import torch
    import transformers

    size: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32, "head_dim": 8}
    size |= {"num_key_value_heads": 2, "intermediate_size": 64, "max_position_embeddings": 512, "vocab_size": 420}
    special = {"initializer_range": 0.2, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = getattr(transformers, f"{name}Config")(**size | special | ARCHITECTURES[name])
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return transformers.AutoModelForCausalLM.from_config(config).eval()


def build_tiny_model(folder: Path, system_role: bool = True) -> Path:
    """Write a random Llama (two layers, 64 wide, byte-level BPE) with its tokenizer into `folder`, and return that.

    The same call writes the same bytes. `system_role` False gives a chat template that refuses a system turn.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = build_tokenizer(system_role)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        # Larger than usual, so that next tokens differ clearly in probability.
        initializer_range=0.15,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def build_tokenizer(system_role: bool = True) -> Any:
    """Train a byte-level BPE of a few hundred tokens, with ChatML's two special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHATML if system_role else NO_SYSTEM,
    )
