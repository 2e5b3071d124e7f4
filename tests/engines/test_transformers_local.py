"""The embedded engine against a plain forward pass over one whole text at a time, in float32."""

import json
import math
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from askback import prompts  # noqa: E402
from askback.engines.local import transformers_local  # noqa: E402
from askback.engines.local.transformers_local import TransformersLocal  # noqa: E402
from askback.engines.protocol import Sampling  # noqa: E402
from askback.errors import InputError  # noqa: E402
from askback.prompts.prompt import Prompt, ask  # noqa: E402
from askback.recipe import EngineOptions  # noqa: E402
from tests.tiny import CHATML, SENTENCES  # noqa: E402

FLOAT32 = EngineOptions(dtype="float32", batch_tokens=400)
LEVELS = [f" {level}" for level in range(1, 6)]
ASKED = [prompts.rubric(f"What about {number}?", " ".join(SENTENCES[: 1 + number % 5])) for number in range(7)]


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> TransformersLocal:
    return TransformersLocal(str(tiny_model), FLOAT32)


@pytest.fixture(scope="module")
def plain(tiny_model: Path) -> tuple[Any, Any]:
    """The model and tokenizer as the library loads them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(tiny_model)


def logprob(plain: tuple[Any, Any], context: Sequence[int], answer: Sequence[int]) -> float:
    """Return log P(answer | context), one unpadded row through the whole model."""
    with torch.inference_mode():
        rows = plain[0](torch.tensor([[*context, *answer]])).logits[0].log_softmax(-1)
    return math.fsum(rows[len(context) + at - 1, token].item() for at, token in enumerate(answer))


def joint(plain: tuple[Any, Any], prompt: Prompt, choice: str) -> tuple[list[int], list[int]]:
    """Return (context, choice) tokens of the text as a whole."""
    context = prompts.render(plain[1], prompt)
    whole = prompts.render(plain[1], ask(prompt.user, prompt.answer_start + choice))
    assert whole[: len(context)] == context
    return context, whole[len(context) :]


@pytest.mark.parametrize(
    "choices", [LEVELS, [" 1", " 10", " no bridge at all"], [" yes"], ["A", "B"]], ids=["levels", "uneven", "one", "AB"]
)
def test_choose_is_the_models_probability(
    engine: TransformersLocal, plain: tuple[Any, Any], choices: list[str]
) -> None:
    for prompt, row in zip(ASKED, engine.choose(ASKED, choices), strict=True):
        for choice, value in zip(choices, row, strict=True):
            assert value == pytest.approx(logprob(plain, *joint(plain, prompt, choice)), abs=1e-4)


def test_levels_take_one_row_per_prompt(engine: TransformersLocal, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    score = TransformersLocal._score

    def counted(self: Any, given: Any, *args: Any, **kwargs: Any) -> Any:
        rows.append(len(given))
        return score(self, given, *args, **kwargs)

    monkeypatch.setattr(TransformersLocal, "_score", counted)
    engine.choose(ASKED, LEVELS)
    assert rows == [len(ASKED)]


def test_a_shared_prefix_read_once_changes_no_number(
    engine: TransformersLocal, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    read_prefix = TransformersLocal._read_prefix

    def seen(self: Any, ids: list[int]) -> Any:
        read.append(len(ids))
        return read_prefix(self, ids)

    monkeypatch.setattr(TransformersLocal, "_read_prefix", seen)
    shared = engine.choose(ASKED, LEVELS)
    assert len(read) == 1
    assert read[0] > 100
    monkeypatch.setattr(transformers_local, "_can_share", lambda config: False)
    for one, other in zip(shared, engine.choose(ASKED, LEVELS), strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    assert len(read) == 1


def test_loglikelihood_is_the_models_probability(
    engine: TransformersLocal, plain: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [sentence * (1 + at % 3) for at, sentence in enumerate(SENTENCES)]
    # A limit on logits below one row's forces the smallest batches; the numbers stay.
    for most in (2**28, 400 * 200):
        monkeypatch.setitem(transformers_local._OUTPUTS, "cpu", most)
        for prompt, answer, found in zip(ASKED, answers, engine.loglikelihood(ASKED, answers), strict=True):
            context, tokens = prompts.render_pair(plain[1], prompt, answer)
            assert tokens[-1] == plain[1].eos_token_id
            assert found.tokens == len(tokens)
            assert found.logprob == pytest.approx(logprob(plain, context, tokens), rel=1e-5)


def test_hidden_states_are_the_librarys_own_pooled_over_the_answer(
    engine: TransformersLocal, plain: tuple[Any, Any]
) -> None:
    model, tokenizer = plain
    answers = [sentence * (1 + at % 3) for at, sentence in enumerate(SENTENCES)]
    found = engine.represent(ASKED, answers, [0.0, 0.5, 1.0])
    for prompt, answer, states in zip(ASKED, answers, found, strict=True):
        context, tokens = prompts.render_pair(tokenizer, prompt, answer)
        with torch.no_grad():
            layers = model(torch.tensor([context + tokens]), output_hidden_states=True).hidden_states
        for own, layer in zip(states, layers, strict=True):  # two layers, and the embedding
            assert own[0] == pytest.approx(layer[0, len(context) :].mean(0).numpy(), abs=1e-4)
            assert own[1] == pytest.approx(layer[0, -1].numpy(), abs=1e-4)


def test_greedy_answers_are_those_of_the_library(engine: TransformersLocal, plain: tuple[Any, Any]) -> None:
    model, tokenizer = plain
    for prompt, found in zip(ASKED, engine.generate(ASKED, Sampling(0, 1, 10), range(7)), strict=True):
        ids = torch.tensor([prompts.render(tokenizer, prompt)])
        output = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=10)
        assert found.text == tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)


def test_sampled_tokens_follow_the_models_probabilities(engine: TransformersLocal, plain: tuple[Any, Any]) -> None:
    """End to end: nothing between the logits and the drawn token bends the distribution."""
    prompt, draws = ask("music"), 3000
    with torch.inference_mode():
        logits = plain[0](torch.tensor([prompts.render(plain[1], prompt)])).logits[0, -1]
    weights = (logits / 0.5).softmax(-1)
    drawn = engine.generate([prompt] * draws, Sampling(0.5, 1.0, 1), range(draws))
    counts = Counter(completion.text for completion in drawn)
    shares: Counter[str] = Counter()
    for token, weight in enumerate(weights.tolist()):
        # Parts of characters look alike when decoded alone.
        shares[plain[1].decode([token], skip_special_tokens=True)] += weight
    assert len(shares) > 200
    for text, share in shares.most_common(12):
        assert abs(counts[text] / draws - share) < 4.5 * math.sqrt(share * (1 - share) / draws)


def test_every_stop_token_of_the_checkpoint_ends_an_answer(tiny_model: Path, tmp_path: Path) -> None:
    """As chat models list several in generation_config.json, with sampling defaults that must not count."""
    greedy = Sampling(0, 1, 6)
    before = TransformersLocal(str(tiny_model), FLOAT32)
    prompt = next(p for p in ASKED if len(set(_greedy_tokens(before, p, 6))) > 2)
    tokens = _greedy_tokens(before, prompt, 6)
    assert not before.generate([prompt], greedy, [0])[0].finished
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    stop = next(token for token in tokens if token != tokens[0])
    settings = {"eos_token_id": [2, stop], "do_sample": True, "temperature": 9.0, "repetition_penalty": 5.0, "top_k": 3}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    stopped = TransformersLocal(str(folder), FLOAT32).generate([prompt], greedy, [0])[0]
    assert stopped.finished
    assert stopped.tokens == tokens.index(stop)
    assert stopped.text == before._tokenizer.decode(tokens[: tokens.index(stop)])


def _greedy_tokens(engine: TransformersLocal, prompt: Prompt, count: int) -> list[int]:
    ids = torch.tensor([prompts.render(engine._tokenizer, prompt)])
    with torch.inference_mode():
        for _ in range(count):
            ids = torch.cat([ids, engine._model(ids).logits[:, -1:].argmax(-1)], dim=1)
    return list(ids[0, -count:].tolist())


def test_bfloat16_is_near_float32(engine: TransformersLocal, tiny_model: Path) -> None:
    rough = TransformersLocal(str(tiny_model), EngineOptions()).choose(ASKED, LEVELS)
    for one, other in zip(rough, engine.choose(ASKED, LEVELS), strict=True):
        assert one == pytest.approx(other, abs=0.2)
        assert len(set(one)) == len(one), "the head is computed in float32, so that levels do not tie"


def test_truncate_cuts_at_tokens(engine: TransformersLocal) -> None:
    text = "The river carried 東京 boats past 🌉 the bridge."
    count = len(engine._tokenizer(text)["input_ids"])
    lengths = [len(engine.truncate(text, most)) for most in range(count + 1)]
    assert lengths == sorted(lengths)
    assert lengths[-1] == len(text)
    for most in range(count + 1):
        assert len(engine._tokenizer(engine.truncate(text, most))["input_ids"]) <= most
    # One token more is lost to a character of several tokens at most, so hardly anything is given away.
    assert len(engine.truncate(text, count - 1)) >= len(text) - 2


def test_prompts_beyond_the_models_context_are_refused(engine: TransformersLocal) -> None:
    long = ask("stone bridge " * 3000)
    with pytest.raises(InputError, match=r"row 1 takes .* the model reads at most 4096; lower"):
        engine.generate([ASKED[0], long], Sampling(0, 1, 4), [0, 0])
    with pytest.raises(InputError, match="reads at most 4096"):
        engine.choose([ASKED[0], long], LEVELS)


def test_a_template_without_a_system_role_does_as_well(tiny_model_no_system: Path, engine: TransformersLocal) -> None:
    found = TransformersLocal(str(tiny_model_no_system), FLOAT32).choose(ASKED[:2], LEVELS)
    for one, other in zip(found, engine.choose(ASKED[:2], LEVELS), strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_the_recipes_chat_template_takes_the_place_of_the_tokenizers(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "bare")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="no chat template"):
        TransformersLocal(str(folder), FLOAT32)
    (tmp_path / "chatml.jinja").write_text(CHATML)
    given = TransformersLocal(str(folder), FLOAT32, str(tmp_path / "chatml.jinja"))
    own = TransformersLocal(str(tiny_model), FLOAT32)
    assert given.choose(ASKED[:1], LEVELS) == own.choose(ASKED[:1], LEVELS)


def test_an_adapter_is_merged_onto_its_base(tiny_model: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(r=4, init_lora_weights=False, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    ).eval()
    adapted.save_pretrained(tmp_path / "adapter")
    engine = TransformersLocal(str(tmp_path / "adapter"), FLOAT32)
    for prompt, row in zip(ASKED, engine.choose(ASKED, LEVELS), strict=True):
        for choice, value in zip(LEVELS, row, strict=True):
            expected = logprob((adapted, engine._tokenizer), *joint((None, engine._tokenizer), prompt, choice))
            assert value == pytest.approx(expected, abs=1e-4)


def test_damaged_weights_are_named(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="no whole safetensors file"):
        TransformersLocal(str(folder), FLOAT32)


@pytest.mark.parametrize(
    ("name", "special"),
    [
        ("MistralConfig", {"sliding_window": 16}),
        ("GPT2Config", {"n_positions": 2048}),
        ("Gemma2Config", {"sliding_window": 16, "final_logit_softcapping": 2.0, "query_pre_attn_scalar": 16}),
        ("Qwen3Config", {}),
    ],
)
def test_other_architectures_give_the_numbers_of_a_plain_pass(
    name: str, special: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    """Sliding windows, learnt positions, capped logits: what a reused prefix or a gathered head might get wrong."""
    import transformers

    size: dict[str, Any] = {
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "hidden_size": 32,
        "head_dim": 16,
        "vocab_size": 420,
    }
    size |= {"num_key_value_heads": 1, "intermediate_size": 64, "max_position_embeddings": 2048}
    config = getattr(transformers, name)(**size, **special, initializer_range=0.15, bos_token_id=1, eos_token_id=2)
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    model.save_pretrained(folder)
    engine = TransformersLocal(str(folder), FLOAT32)
    reference = (model, engine._tokenizer)
    for prompt, row in zip(ASKED[:3], engine.choose(ASKED[:3], LEVELS), strict=True):
        for choice, value in zip(LEVELS, row, strict=True):
            assert value == pytest.approx(logprob(reference, *joint(reference, prompt, choice)), abs=1e-4)


def test_the_embedded_model_answers(builtin_model: Path) -> None:
    """Weights, tokenizer and template fit together: it knows what every such model knows, and stops by itself."""
    engine = TransformersLocal(str(builtin_model), EngineOptions())
    france, gravity = engine.generate(
        [ask("What is the capital of France?"), ask("What is gravity?")], Sampling(0, 1, 24), [0, 0]
    )
    assert "Paris" in france.text
    assert france.finished
    assert "Gravity" in gravity.text
    better, worse = engine.loglikelihood(
        [ask("What is the capital of France?")] * 2,
        ["The capital of France is Paris.", "The capital of stone is paper."],
    )
    assert better.logprob > worse.logprob + 10
