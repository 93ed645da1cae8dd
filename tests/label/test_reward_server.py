"""A reward model behind servers: what is sent, what is tried again, what ends the run."""

import json
from collections import Counter

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from label.exchange import Exchange
from label.reward_model import RewardChoice, open_reward_model
from label.reward_models import server as reward_server
from store.errors import BadInput, BadSettings, ProviderStopped

ITEMS = [Exchange((("user", "Why?"),), "x" * n) for n in range(1, 60)]


class Pooling:
    """A server that gives each text its number of tokens, and fails on command."""

    def __init__(self, httpserver: HTTPServer) -> None:
        self.failures: list[int] = []
        self.bodies: list[dict] = []
        self.outputs = 1
        httpserver.expect_request("/v1/models").respond_with_json(
            {"data": [{"id": "rm", "max_model_len": 64}]}
        )
        httpserver.expect_request("/classify").respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        if self.failures:
            return Response("not now", status=self.failures.pop())
        body = json.loads(request.data)
        self.bodies.append(body)
        rows = [
            {"index": index, "probs": [float(len(ids))] * self.outputs}
            for index, ids in enumerate(body["input"])
        ]
        return Response(json.dumps({"data": rows[::-1]}), content_type="application/json")


@pytest.fixture
def pooling(httpserver: HTTPServer, monkeypatch) -> Pooling:
    monkeypatch.setattr(reward_server, "LONGEST_WAIT_S", 0.01)
    return Pooling(httpserver)


def opened(httpserver, reward_folder, **options):
    name = f"vllm:{httpserver.url_for('/v1')}#rm"
    return open_reward_model(RewardChoice(name, tokenizer=str(reward_folder), **options))


def test_tokens_are_sent_in_batches_and_numbers_come_back_in_place(
    httpserver, pooling, reward_folder
) -> None:
    model = opened(httpserver, reward_folder, batch_tokens=500)
    found = dict(model.score(ITEMS))
    model.close()
    assert [found[place].value for place in range(59)] == [
        min(64.0, found[place].n_tokens) for place in range(59)
    ]
    assert Counter(one.is_truncated for one in found.values())[True] > 0
    assert len(pooling.bodies) > 3
    assert all(body["use_activation"] is False and body["model"] == "rm" for body in pooling.bodies)
    assert model.described["max_length"] == 64


def test_a_busy_server_is_asked_again_and_a_dead_one_passed_over(httpserver, pooling, reward_folder) -> None:
    pooling.failures = [503, 429, 500]
    model = opened(httpserver, reward_folder)
    assert len(dict(model.score(ITEMS))) == 59
    model.close()


def test_a_server_that_stays_away_ends_the_run_for_now(httpserver, pooling, reward_folder) -> None:
    pooling.failures = [503] * 50
    model = opened(httpserver, reward_folder)
    with pytest.raises(ProviderStopped, match="status 503; the same command again continues"):
        dict(model.score(ITEMS))
    model.close()


def test_a_refusal_and_a_model_of_several_numbers_are_errors(httpserver, pooling, reward_folder) -> None:
    pooling.failures = [400]
    model = opened(httpserver, reward_folder)
    with pytest.raises(BadInput, match="refuses the request with status 400: not now"):
        dict(model.score(ITEMS[:2]))
    pooling.outputs = 2
    with pytest.raises(BadInput, match="gives 2 numbers"):
        dict(model.score(ITEMS[:2]))
    model.close()


def test_what_is_not_said_or_not_served_is_refused(httpserver, pooling, reward_folder) -> None:
    url = httpserver.url_for("/v1")
    with pytest.raises(BadSettings, match="--tokenizer"):
        open_reward_model(RewardChoice(f"vllm:{url}#rm"))
    with pytest.raises(BadSettings, match="write --model vllm:http"):
        open_reward_model(RewardChoice(f"vllm:{url}", tokenizer=str(reward_folder)))
    other = open_reward_model(RewardChoice(f"vllm:{url}#other", tokenizer=str(reward_folder)))
    with pytest.raises(BadSettings, match="serves rm, not other"):
        other.check()
    other.close()
