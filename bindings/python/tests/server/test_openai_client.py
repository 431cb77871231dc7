"""The server through OpenAI's own client."""

from __future__ import annotations

import asyncio
import math
import subprocess
from pathlib import Path

import pytest

openai = pytest.importorskip("openai")

QUESTION = [{"role": "user", "content": "How many legs does a spider have?"}]
TOOL = Path(__file__).resolve().parents[4] / ".build/release/xverse-cli"


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


def test_a_greedy_answer_has_the_tokens_of_the_library(client, model):
    expected = model.generate([("user", QUESTION[0]["content"])], temperature=0)
    found = client.chat.completions.create(model="demo-model", messages=QUESTION, temperature=0, logprobs=True)
    choice = found.choices[0]
    assert choice.message.content == expected.text == "A spider has eight legs."
    assert choice.finish_reason == "stop"
    # The end-of-sequence token has no entry.
    tokens = [model.tokenizer.token_bytes(token) for token in expected.tokens[:-1]]
    assert [bytes(entry.bytes) for entry in choice.logprobs.content] == tokens
    assert found.usage.completion_tokens == len(expected.tokens)


def test_a_greedy_answer_is_that_of_the_tool(client, path):
    if not TOOL.exists():
        pytest.skip(f"{TOOL} is not built")
    command = [str(TOOL), "generate", path, "Once upon a time", "--greedy", "--max-new-tokens", "60"]
    expected = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True, timeout=60).stdout
    found = client.completions.create(model="demo-model", prompt="Once upon a time", temperature=0, max_tokens=60)
    assert found.choices[0].text == expected.rstrip("\n")


def test_a_stream_is_the_whole_answer_in_whole_characters(client):
    messages = [{"role": "user", "content": 'How do you say "three white cats" in Chinese?'}]
    whole = client.chat.completions.create(model="demo-model", messages=messages, temperature=0)
    stream = client.chat.completions.create(
        model="demo-model", messages=messages, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == whole.choices[0].message.content == "三只白色的猫"
    assert "\ufffd" not in "".join(pieces)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert len({chunk.id for chunk in chunks}) == 1


def test_options_have_their_meaning(client):
    create = client.completions.create
    several = create(model="demo-model", prompt="Once upon a time", n=3, seed=7, temperature=1, max_tokens=12)
    again = create(model="demo-model", prompt="Once upon a time", n=3, seed=7, temperature=1, max_tokens=12)
    assert [choice.text for choice in several.choices] == [choice.text for choice in again.choices]
    assert len({choice.text for choice in several.choices}) > 1
    whole = create(model="demo-model", prompt="Once upon a time", temperature=0, max_tokens=30, logprobs=2)
    stopped = create(
        model="demo-model", prompt="Once upon a time", temperature=0, max_tokens=30, stop=["hedge", "lived"]
    )
    assert stopped.choices[0].text == whole.choices[0].text.split("hedge")[0].split("lived")[0] != whole.choices[0].text
    assert stopped.choices[0].finish_reason == "stop"
    assert all(len(entry) >= 2 for entry in whole.choices[0].logprobs.top_logprobs)
    first = client.chat.completions.create(
        model="demo-model", messages=QUESTION, temperature=0, max_completion_tokens=1
    )
    assert first.usage.completion_tokens == 1


def test_embeddings_are_those_of_a_session(client, model):
    found = client.embeddings.create(model="demo-model", input=["three white cats", "一只猫"])
    assert [entry.index for entry in found.data] == [0, 1]
    for entry, text in zip(found.data, ["three white cats", "一只猫"]):
        expected = model.session().embed(model.tokenizer.encode(text), normalize=True)
        assert entry.embedding == pytest.approx([float(x) for x in expected], abs=1e-6)
        assert math.fsum(x * x for x in entry.embedding) == pytest.approx(1, abs=1e-4)
    numbers = client.embeddings.create(model="demo-model", input="three white cats", encoding_format="float")
    assert numbers.data[0].embedding == pytest.approx(found.data[0].embedding, abs=1e-7)
    tokens = client.embeddings.create(model="demo-model", input=model.tokenizer.encode("three white cats"))
    assert tokens.data[0].embedding == found.data[0].embedding


def test_the_model_is_listed(client):
    assert [entry.id for entry in client.models.list()] == ["demo-model"]
    assert client.models.retrieve("demo-model").id == "demo-model"


def test_errors_are_the_clients_exceptions(client):
    create = client.chat.completions.create
    with pytest.raises(openai.NotFoundError) as caught:
        create(model="gpt-4", messages=QUESTION)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as caught:
        create(model="demo-model", messages=QUESTION, temperature=3)
    assert caught.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as caught:
        create(model="demo-model", messages=[{"role": "user", "content": "cat " * 2000}])
    assert caught.value.code == "context_length_exceeded"


def test_an_async_client_gets_many_answers_at_a_time(server):
    async def main():
        async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0) as client:

            async def one(number):
                stream = await client.chat.completions.create(
                    model="demo-model", messages=QUESTION, temperature=0, stream=number % 2 == 0
                )
                if number % 2:
                    return stream.choices[0].message.content
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            return await asyncio.gather(*map(one, range(8)))

    assert asyncio.run(main()) == ["A spider has eight legs."] * 8
