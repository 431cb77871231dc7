"""XVERSE models in lm-evaluation-harness, under the name "xverse".

    python -m xverse.evaluation.lm_eval --model xverse --model_args pretrained=XVERSE-7B-Chat,quantize=int4 --tasks piqa

takes the arguments of the command lm_eval, which knows no models but its own. A program imports this module and calls
`lm_eval.simple_evaluate(model="xverse", ...)`, or gives it an `XverseLM`. Tested with lm-eval 0.4.13.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from ...model import Model
from ..encoding import Encoded
from ..question import Question
from ..scoring import Scorer

__all__ = ["XverseLM"]

MAX_GEN_TOKS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "seed")


@register_model("xverse")
class XverseLM(LM):  # type: ignore[misc]
    """A model of this library for lm-evaluation-harness.

    Args:
        pretrained: its directory or GGUF file. model: a loaded one instead.
        max_length: most tokens of a request; default: the model's n_ctx_train.
        max_gen_toks: where a task does not say it.
        quantize, threads: as in `Model`.
        batch_size, max_batch_size, device: accepted, without a meaning.

    Raises:
        As `Model`. ValueError: neither pretrained nor model, or a max_length below 2.
    """

    def __init__(
        self,
        pretrained: str | None = None,
        *,
        model: Model | None = None,
        max_length: int | None = None,
        max_gen_toks: int = 256,
        quantize: str | None = None,
        threads: int | None = None,
        batch_size: object = None,
        max_batch_size: object = None,
        device: object = None,
    ) -> None:
        super().__init__()
        if model is None:
            if pretrained is None:
                raise ValueError("pretrained is missing, expected the directory of a model")
            options: Any = {"quantize": quantize, "threads": threads}
            model = Model(str(pretrained), **options)
        self.model = model
        self.max_length = model.info.n_ctx_train if max_length is None else int(max_length)
        if self.max_length < 2:
            raise ValueError(f"max_length is {max_length}, expected 2 or more")
        self.max_gen_toks = int(max_gen_toks)

    # ---- scoring ----

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """The log-probability of each continuation, and whether greedy sampling would write it."""
        pairs = [self._pair(*request.args) for request in requests]
        answers = self._scored(pairs)
        for request, answer in zip(requests, answers):
            self.cache_hook.add_partial("loglikelihood", request.args, answer)
        return answers

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """The log-probability of each text, in windows that do not overlap in what is scored."""
        pairs: list[tuple[list[int], list[int]]] = []
        counts = []
        for request in requests:
            windows = list(self._windows(request.args[0]))
            counts.append(len(windows))
            pairs += windows
        values = iter(self._scored(pairs))
        answers = [sum(next(values)[0] for _ in range(count)) for count in counts]
        for request, answer in zip(requests, answers):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, answer)
        return answers

    @property
    def prefix_token_id(self) -> int:
        """The token that stands before a text that nothing is before: BOS, else EOS, else the first."""
        tokenizer = self.model.tokenizer
        return next((token for token in (tokenizer.bos, tokenizer.eos) if token is not None), 0)

    def _encode(self, text: str) -> list[int]:
        return self.model.tokenizer.encode(text, special=True)

    def _pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """The ids of a context, cut on the left, and of a continuation, as lm-eval's own models split them."""
        if not context:
            ids = self._encode(continuation)
            if not ids or ids[0] != self.prefix_token_id:
                ids = [self.prefix_token_id, *ids]
            return self._cut(ids[:1], ids[1:])
        stripped = context.rstrip()
        continuation, context = context[len(stripped) :] + continuation, stripped
        before = self._encode(context)
        after = self._encode(context + continuation)[len(before) :]
        return self._cut(before or [self.prefix_token_id], after)

    def _cut(self, before: list[int], after: list[int]) -> tuple[list[int], list[int]]:
        room = self.max_length + 1 - len(after)
        if room < 1:
            raise ValueError(f"a continuation of {len(after)} tokens, expected at most max_length, {self.max_length}")
        return before[-room:], after

    def _windows(self, text: str) -> Iterable[tuple[list[int], list[int]]]:
        ids = [self.prefix_token_id, *self._encode(text)]
        for start in range(1, len(ids), self.max_length):
            end = min(start + self.max_length, len(ids))
            yield ids[max(0, end - 1 - self.max_length) : start], ids[start:end]

    def _scored(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[tuple[float, bool]]:
        """Scores continuations; those of one context together."""
        places: dict[tuple[int, ...], list[int]] = {}
        for place, (before, _) in enumerate(pairs):
            places.setdefault(tuple(before), []).append(place)
        questions, answers = [], [(0.0, True)] * len(pairs)
        asked: dict[int, list[int]] = {}
        for members in places.values():
            before = pairs[members[0]][0]
            continuations = [pairs[place][1] for place in members]
            encoded = Encoded(NOTHING, (), "", len(before), len(before), 0, before, continuations)
            asked[id(encoded)] = members
            questions.append(encoded)
        for scored in Scorer(self.model, self.max_length, greedy=True).score(questions):
            for place, logprob, greedy in zip(asked[id(scored.encoded)], scored.logprobs, scored.greedy):
                answers[place] = (logprob, greedy)
        return answers

    # ---- generating ----

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """The continuation of each context, up to the first stop text."""
        answers = [""] * len(requests)
        groups: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            groups.setdefault(json.dumps(request.args[1], sort_keys=True, default=str), []).append(place)
        for members in groups.values():
            options = self._options(requests[members[0]].args[1])
            room = max(self.max_length - options["max_new_tokens"], 1)
            prompts = [self._encode(requests[place].args[0])[-room:] or [self.prefix_token_id] for place in members]
            results = self.model.generate_many(prompts, scheduler={"context": self.max_length}, **options)
            for place, result in zip(members, results):
                answers[place] = result.text
                self.cache_hook.add_partial("generate_until", requests[place].args, result.text)
        return answers

    def _options(self, wanted: Mapping[str, Any]) -> Any:
        """lm-eval's arguments of generation as sampling options."""
        until = wanted.get("until") or []
        stop = [text for text in ([until] if isinstance(until, str) else until) if text]
        count = next((wanted[name] for name in MAX_GEN_TOKS if wanted.get(name) is not None), self.max_gen_toks)
        options: dict[str, Any] = {"max_new_tokens": min(int(count), self.max_length - 1), "do_sample": False}
        options["repetition_penalty"] = 1.0
        if wanted.get("do_sample"):
            options["do_sample"] = True
            options.update({name: wanted[name] for name in SAMPLING if wanted.get(name) is not None})
        return {**options, "stop": stop} if stop else options

    # ---- conversations ----

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The text of a conversation in XVERSE's form."""
        text = self.model.tokenizer.decode(self.model.prompt_tokens(chat_history))
        return text if add_generation_prompt else text.removesuffix("Assistant: ")

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """A name of the form, for lm-eval's records; the library has one form only."""
        return "xverse" if chat_template else None

    @property
    def tokenizer_name(self) -> str:
        return self.model.info.name

    def get_model_info(self) -> dict[str, Any]:
        """What lm-eval writes into its results."""
        info = self.model.info
        return {"model_name": info.name, "model_num_parameters": info.n_params, "model_dtype": info.quant}


NOTHING = Question("", "", (), "", (), lambda _: "", (), "")
