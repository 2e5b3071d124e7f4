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
