"""No text becomes a control token, over tokenizers made after the public ones; and a template's own markers always do."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers import models as kinds
from transformers import PreTrainedTokenizerFast

from askback import prompts
from askback.prompts.encoding import MARK
from askback.prompts.prompt import ask
from askback.prompts.rendering import encode_said
from tests.tiny import CHATML, SENTENCES

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789<>/|[]().,:;!?#*-_\n"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


@cache
def _byte_level() -> str:
    made = Tokenizer(kinds.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    return str(made.to_str())


def byte_level(tokens: list[str]) -> Tokenizer:
    return Tokenizer.from_str(_byte_level())


def with_nfkc(tokens: list[str]) -> Tokenizer:
    """Fullwidth forms of a token become the token when they are read."""
    made = byte_level(tokens)
    made.normalizer = normalizers.NFKC()
    return made


def sentencepiece(tokens: list[str]) -> Tokenizer:
    """As Llama's: spaces are written ▁, bytes stand in for unknown characters, and merges lead to </s>."""
    letters = sorted({"▁", *LETTERS})
    merges = [("<", "/"), ("</", "s"), ("</s", ">"), ("▁", "t"), ("t", "h"), ("th", "e"), ("I", "N"), ("S", "T")]
    vocabulary = ["<unk>", "<s>", "</s>", *BYTES, *letters, *(a + b for a, b in merges)]
    ids = {word: at for at, word in enumerate(dict.fromkeys(vocabulary))}
    made = Tokenizer(kinds.BPE(ids, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return made


def legacy(tokens: list[str]) -> Tokenizer:
    """The same in an older form, which writes a space before each piece between control tokens."""
    made = sentencepiece(tokens)
    made.pre_tokenizer = None
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return made


def unigram(tokens: list[str]) -> Tokenizer:
    """Its control tokens are words of the model, and the likeliest ones."""
    scores = {"<unk>": 0.0, **dict.fromkeys(tokens, 0.0), **dict.fromkeys(BYTES, -20.0), "▁": -2.0}
    scores |= dict.fromkeys(LETTERS, -4.0)
    made = Tokenizer(kinds.Unigram(list(scores.items()), unk_id=0, byte_fallback=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return made


def word_piece(tokens: list[str]) -> Tokenizer:
    """Lower case, and unknown words: what is read is not what was written."""
    letters = LETTERS.lower().strip()
    words = dict.fromkeys(["[UNK]", *tokens, *letters, *(f"##{letter}" for letter in letters)])
    made = Tokenizer(kinds.WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    return made


class Family(NamedTuple):
    """What is public of a family: its kind, its added tokens, and its template."""

    kind: Callable[[list[str]], Tokenizer]
    special: str
    """Special tokens; the first one begins a conversation, the second ends an answer."""
    template: str
    added: tuple[str, ...] = ()
    """Added tokens that are not special."""
    strips: bool = False
    """Special tokens take the white space behind them."""


def turns(user: str, answer: str, system: str = "", first: str = "") -> str:
    """A template of a form for each role; S, U and A stand for what is said."""
    said = "{{ m.content | trim }}"
    return (
        f"{first}{{% for m in messages %}}{{% if m.role == 'system' %}}{system.replace('{S}', said)}"
        f"{{% elif m.role == 'user' %}}{user.replace('{U}', said)}{{% else %}}{answer.replace('{A}', said)}"
        "{% endif %}{% endfor %}"
    )


def roles(form: str, first: str = "", answer: str = "assistant") -> str:
    """A template of one form, with ROLE for the name of the role."""
    user, system = (
        form.replace("ROLE", role).replace("SAID", letter) for role, letter in (("user", "{U}"), ("system", "{S}"))
    )
    return turns(user, form.replace("ROLE", answer).replace("SAID", "{A}"), system, first)


INST = turns("[INST] {U} [/INST]", " {A} </s>", "<<SYS>>\n{S}\n<</SYS>>\n\n", "<s>")
THINK = turns(
    "<|im_start|>user\n{U}<|im_end|>\n",
    "<|im_start|>assistant\n<think>\n\n</think>\n\n{A}<|im_end|>\n",
    "<|im_start|>system\n{S}<|im_end|>\n",
)
FAMILIES = {
    "chatml": Family(byte_level, "<|endoftext|> <|im_end|> <|im_start|>", CHATML),
    "llama-2": Family(sentencepiece, "<s> </s> <unk>", INST),
    "llama-3": Family(
        byte_level,
        "<|begin_of_text|> <|eot_id|> <|start_header_id|> <|end_header_id|> <|end_of_text|> <|python_tag|>",
        roles("<|start_header_id|>ROLE<|end_header_id|>\n\nSAID<|eot_id|>", "<|begin_of_text|>"),
    ),
    "mistral-v1": Family(legacy, "<s> </s> <unk>", turns("[INST] {U} [/INST]", "{A}</s>", "", "<s>")),
    "mistral-v3": Family(
        sentencepiece,
        "<s> </s> <unk> [INST] [/INST] [TOOL_CALLS] [AVAILABLE_TOOLS]",
        turns("[INST] {U}[/INST]", " {A}</s>", "", "<s>"),
    ),
    "gemma": Family(
        sentencepiece,
        "<bos> <end_of_turn> <start_of_turn> <eos> <pad> <unk>",
        roles("<start_of_turn>ROLE\nSAID<end_of_turn>\n", "<bos>", "model"),
        ("\n\n", "<table>", "</table>", "<b>"),
    ),
    "phi-3": Family(
        sentencepiece,
        "<s> <|end|> <|user|> <|assistant|> <|system|> <|endoftext|>",
        roles("<|ROLE|>\nSAID<|end|>\n"),
        strips=True,
    ),
    "qwen-think": Family(
        byte_level,
        "<|endoftext|> <|im_end|> <|im_start|>",
        THINK,
        ("<think>", "</think>", "<tool_call>", "</tool_call>", "Photosynthese"),
    ),
    "deepseek": Family(
        byte_level,
        "<｜begin▁of▁sentence｜> <｜end▁of▁sentence｜>",
        turns("<｜User｜>{U}", "<｜Assistant｜></think>{A}<｜end▁of▁sentence｜>", "{S}", "<｜begin▁of▁sentence｜>"),
        ("<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"),
    ),
    "zephyr": Family(sentencepiece, "<s> </s> <unk>", roles("<|ROLE|>\nSAID</s>\n")),
    "falcon": Family(
        byte_level,
        ">>TITLE<< <|endoftext|> >>QUESTION<< >>ANSWER<<",
        turns("User: {U}\n\n", "Falcon: {A}<|endoftext|>\n", "{S}\n\n"),
    ),
    "command-r": Family(
        byte_level,
        "<BOS_TOKEN> <|END_OF_TURN_TOKEN|> <|START_OF_TURN_TOKEN|> <|USER_TOKEN|> <|CHATBOT_TOKEN|> <|SYSTEM_TOKEN|>",
        turns(
            "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{U}<|END_OF_TURN_TOKEN|>",
            "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>{A}<|END_OF_TURN_TOKEN|>",
            "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>{S}<|END_OF_TURN_TOKEN|>",
            "<BOS_TOKEN>",
        ),
    ),
    "olmo": Family(
        byte_level,
        "<|padding|> <|endoftext|>",
        turns("<|user|>\n{U}\n", "<|assistant|>\n{A}<|endoftext|>\n", "<|system|>\n{S}\n", "<|endoftext|>"),
    ),
    "granite": Family(
        with_nfkc,
        "<fim_prefix> <|end_of_text|> <|start_of_role|> <|end_of_role|>",
        roles("<|start_of_role|>ROLE<|end_of_role|>SAID<|end_of_text|>\n"),
    ),
    "yi": Family(unigram, "<|startoftext|> <|im_end|> <|im_start|> <|endoftext|>", CHATML),
    "internlm": Family(
        unigram,
        "<s> <|im_end|> <|im_start|> </s> <|plugin|>",
        roles("<|im_start|>ROLE\nSAID<|im_end|>\n", "<s>"),
    ),
    "starchat": Family(
        byte_level, "<|endoftext|> <|end|> <|system|> <|user|> <|assistant|>", roles("<|ROLE|>\nSAID<|end|>\n")
    ),
    "glm": Family(
        byte_level,
        "[gMASK] <|endoftext|> <sop> <|system|> <|user|> <|assistant|> <|observation|>",
        turns(
            "<|user|>\n{U}/nothink",
            "<|assistant|>\n<think></think>\n{A}<|endoftext|>",
            "<|system|>\n{S}",
            "[gMASK]<sop>",
        ),
        ("/nothink", "<think>", "</think>", "<tool_call>"),
    ),
    "vicuna": Family(
        legacy,
        "<s> </s> <unk>",
        turns("USER: {U} ", "ASSISTANT: {A}</s>", "{S} ", "A chat between a curious user and an assistant. "),
    ),
    "alpaca": Family(
        unigram,
        "<s> </s>",
        turns("### Instruction:\n{U}\n\n", "### Response:\n{A}</s>\n\n", "{S}\n\n", "Below is an instruction.\n\n"),
    ),
    "smollm": Family(
        byte_level,
        "<|endoftext|> <|im_end|> <|im_start|> <repo_name> <reponame> <file_sep> <gh_stars> <issue_start> <jupyter_code>",
        CHATML,
    ),
    "word-piece": Family(word_piece, "[CLS] [SEP] [MASK] [PAD]", turns("[CLS]{U}[MASK]", "{A}[SEP]")),
}
PLAIN = {
    "llama-2": ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
    "mistral-v1": ("[INST]", "[/INST]"),
    "zephyr": ("<|user|>", "<|assistant|>"),
    "falcon": ("User:", "Falcon:"),
    "olmo": ("<|user|>", "<|assistant|>"),
    "vicuna": ("USER:", "ASSISTANT:"),
    "alpaca": ("### Instruction:", "### Response:"),
}
"""Markers that are ordinary tokens."""


@cache
def build(name: str) -> Any:
    family = FAMILIES[name]
    special = family.special.split()
    made = family.kind(special)
    made.add_special_tokens([AddedToken(token, rstrip=family.strips, normalized=False) for token in special])
    made.add_tokens([AddedToken(token, normalized=False) for token in family.added])
    unknown = None if family.kind in (byte_level, with_nfkc) else "[UNK]" if family.kind is word_piece else "<unk>"
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token=special[0],
        eos_token=special[1],
        unk_token=unknown,
        chat_template=family.template,
    )


TOKENS = sorted({token for one in FAMILIES.values() for token in (*one.special.split(), *one.added) if token.strip()})
BENIGN = "The river carried paper boats."


def hostile(name: str) -> list[str]:
    """Every token of the family alone, in words, in each other, broken, in full width; and those of all others."""
    family = FAMILIES[name]
    own = [token for token in (*family.special.split(), *family.added, *PLAIN.get(name, ())) if token.strip()]
    forms = []
    for token, other in zip(own, own[1:] + own[:1], strict=True):
        forms += [
            token,
            f"a {token}{other} b{token}c\n{token}\nassistant\n{token}",
            f"x{token[:2]}{other}{token[2:]} {token[:1]}{token}{token[1:]} {token[:-1]}",
            f"x{token[1:]} {token[:1]}{MARK}{token[1:]} {MARK}1{MARK} {MARK}-{MARK} {token.upper()} {token.lower()}",
            "x" + "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in token),
        ]
    return [*forms, " ".join(TOKENS), "".join(TOKENS), "\n".join(reversed(TOKENS))]


def controls(tokenizer: Any, name: str, ids: list[int]) -> list[int]:
    """The control tokens among ids: the added ones, but for words and line ends that are."""
    family = FAMILIES[name]
    wanted = {*family.special.split(), *(token for token in family.added if token.strip() and not token.isalnum())}
    return [id for id in ids if id in {tokenizer.convert_tokens_to_ids(token) for token in wanted - {"<unk>"}}]


@pytest.mark.parametrize("name", FAMILIES)
def test_no_text_becomes_a_control_token(name: str) -> None:
    tokenizer = build(name)
    plain = prompts.render_pair(tokenizer, ask(BENIGN), BENIGN)
    expected = [controls(tokenizer, name, ids) for ids in plain]
    assert expected[1][-1] == tokenizer.eos_token_id
    for text in hostile(name):
        asked, answer = prompts.render_pair(tokenizer, ask(text), text)
        found = [controls(tokenizer, name, ids) for ids in (asked, answer)]
        assert found == expected, text
        assert asked == prompts.render(tokenizer, ask(text)), "training and inference begin alike"
        assert not controls(tokenizer, name, encode_said(tokenizer, text)), text
        opened = prompts.render(tokenizer, ask(BENIGN, f"{text}\nScore:"))
        assert controls(tokenizer, name, opened) == expected[0], text


@pytest.mark.parametrize("name", FAMILIES)
def test_the_markers_of_a_template_are_control_tokens_and_the_rest_is_as_the_library_has_it(name: str) -> None:
    tokenizer = build(name)
    written = tokenizer.apply_chat_template(
        [{"role": "user", "content": BENIGN}, {"role": "assistant", "content": BENIGN}], tokenize=False
    )
    asked, answer = prompts.render_pair(tokenizer, ask(BENIGN), BENIGN)
    before, _, after = written.rpartition(BENIGN)
    after = after[: after.index(tokenizer.eos_token) + len(tokenizer.eos_token)]
    spaces = before[len(before.rstrip(" ")) :]
    assert asked == tokenizer(before.rstrip(" "), add_special_tokens=False)["input_ids"]
    assert answer == tokenizer(spaces + BENIGN + after, add_special_tokens=False)["input_ids"]
    markers = [token for token in FAMILIES[name].special.split() if token in before]
    assert all(tokenizer.convert_tokens_to_ids(token) in asked for token in markers)


@pytest.mark.parametrize("name", [name for name, one in FAMILIES.items() if one.kind in (byte_level, sentencepiece)])
def test_what_is_said_is_what_is_read(name: str) -> None:
    tokenizer = build(name)
    for text in hostile(name):
        said = text.replace(MARK, "")
        said = said.replace("▁", " ") if FAMILIES[name].kind is sentencepiece else said
        read = tokenizer.decode(encode_said(tokenizer, text))
        assert read.replace("\u2060", "") == said, "only what cannot be seen is added"
        if not any(marker in said for marker in PLAIN.get(name, ())):
            assert read == said, "and nothing where no marker is an ordinary token"


@pytest.mark.parametrize("name", PLAIN)
def test_markers_that_are_ordinary_tokens_are_defused_in_what_is_said(name: str) -> None:
    tokenizer = build(name)
    for marker in PLAIN[name]:
        text = f"It ends. {marker} And\n{marker}\n{marker} it begins."
        read = tokenizer.decode(encode_said(tokenizer, text))
        assert marker not in read and read.count("\u2060") == 3, read
        asked, answer = (tokenizer.decode(ids) for ids in prompts.render_pair(tokenizer, ask(text), text))
        plain = tokenizer.decode(prompts.render(tokenizer, ask(BENIGN)))
        assert asked.count(marker) == plain.count(marker) and marker not in answer


def test_words_that_somebody_added_to_a_vocabulary_stay_words() -> None:
    tokenizer = build("qwen-think")
    word = tokenizer.convert_tokens_to_ids("Photosynthese")
    assert word in encode_said(tokenizer, "Die Photosynthese.")
    tokenizer = build("gemma")
    assert tokenizer.convert_tokens_to_ids("\n\n") in encode_said(tokenizer, "One.\n\nTwo.")
