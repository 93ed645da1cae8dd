"""Whether the chat template of a vLLM server puts one space before every response.

The server is asked to tokenise a question as it would show it to the policy, then the question with its
answer: what stands between the two is what the policy draws besides the answer.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx2

PROBE = "X"
PROBE_TIMEOUT_S = 30.0


async def server_makes_space(
    client: "httpx2.AsyncClient", base_url: str, policy: str, template_kwargs: Mapping[str, object]
) -> bool | None:
    """The answer; False from a server that cannot say (not vLLM, or one that keeps its tokenizer to itself).

    None if it gave no answer at all, which says nothing about the next time.
    """
    import httpx2

    root = base_url.removesuffix(urlsplit(base_url).path) + urlsplit(base_url).path.removesuffix("/v1")
    question = {"role": "user", "content": PROBE}
    answer = {"role": "assistant", "content": PROBE}

    async def post(path: str, body: Mapping[str, object]) -> dict[str, object]:
        response = await client.post(f"{root}{path}", json={"model": policy, **body}, timeout=PROBE_TIMEOUT_S)
        response.raise_for_status()
        found = response.json()
        return found if isinstance(found, dict) else {}

    async def tokens_of(messages: list[dict[str, str]], *, is_prompt: bool) -> list[object]:
        body = {
            "messages": messages,
            "add_generation_prompt": is_prompt,
            "chat_template_kwargs": dict(template_kwargs),
        }
        tokens = (await post("/tokenize", body)).get("tokens")
        return tokens if isinstance(tokens, list) else []

    try:
        shown = await tokens_of([question], is_prompt=True)
        whole = await tokens_of([question, answer], is_prompt=False)
        if not shown or whole[: len(shown)] != shown:
            return False
        drawn = (await post("/detokenize", {"tokens": whole[len(shown) :]})).get("prompt")
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        return None if status == 429 or status >= 500 else False
    except httpx2.HTTPError:
        return None
    except ValueError:
        return False
    return isinstance(drawn, str) and drawn.startswith(f" {PROBE}")
