"""The server: the answers of the models, together for many clients, and short errors for bad requests."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

import zoo
import zoo.runtime
from support import ALICE, DIGITS, ROOT, STEPS, TOY, WORDS, run_zoo
from zoo.graphs import write

pytestmark = pytest.mark.short

TAGS, CO2, NOTES = "seq_tagger_lstm.punctuation", "regressor_gru.co2", "seq2seq_lstm.addition_attention"
LIMITS = ("--max_length", "500", "--max_bytes", "20000", "--max_waiting", "70")


class Server:
    """`zoo serve` in a process."""

    def __init__(self, *models: object) -> None:
        command = [sys.executable, "-m", "zoo", "serve", *map(str, models), "--port", "0", *LIMITS]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, cwd=ROOT, **pipes)  # type: ignore[call-overload]
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.url = line.split()[0]
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def ask(self, model: str, action: str, **asked: Any) -> Any:
        answer = self.client.post(f"/models/{model}/{action}", json=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, address: str, content: bytes | str) -> tuple[int, str]:
        answer = self.client.post(address, content=content)
        return answer.status_code, answer.json()["error"]

    def stop(self) -> str:
        """Stops it; returns what it wrote to standard error."""
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=60)
        return errors


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server(ALICE, TOY, WORDS, DIGITS, STEPS, TAGS, CO2, NOTES)
    yield made
    assert made.stop() == ""


def events(answer: Any) -> Iterator[Any]:
    for line in answer.iter_lines():
        if line.startswith("data: ["):
            yield from json.loads(line.removeprefix("data: "))


def test_answers_are_those_of_the_models(server: Server) -> None:
    words, digits = zoo.load(WORDS), [[[(i + j) % 2 * 1.0 for j in range(28)] for i in range(28)]]
    assert server.ask(TOY, "translate", texts=["word", "love"])[1] == {"text": "사랑", "alignment": None}
    assert [one["label"] for one in server.ask(WORDS, "classify", inputs=["wor", "dee"])] == ["d", "p"]
    expected = words.classify(["w", "wo", "wor"])[2].probability if words.config.num_steps is None else None
    steps = server.ask(WORDS, "classify", inputs=["wor"], steps=True)[0]
    assert expected is None or steps[-1]["probability"] == pytest.approx(expected)
    assert len(server.ask(DIGITS, "classify", inputs=digits, steps=True)[0]) == 28
    found = zoo.load(DIGITS).classify([digits[0]])[0]
    assert server.ask(DIGITS, "classify", inputs=digits)[0]["probability"] == pytest.approx(found.probability)
    assert server.ask(STEPS, "values", sequences=[[25, 35, 45]])[0][0] == pytest.approx(55, abs=0.01)
    assert (
        server.ask(TAGS, "tag", texts=["oh dear said alice"])[0]["edited"]
        == zoo.load(TAGS).edit("oh dear said alice")[0]
    )
    (sums,) = server.ask(NOTES, "translate", texts=["12+34"], alignment=True)
    assert sums["text"] == "46"
    assert sums["alignment"]["target"] == ["4", "6", "<end>"]
    (drawn,) = server.ask(NOTES, "translate", texts=["604+97"], alignment=True, temperature=3.0, seed=1)
    assert "".join(drawn["alignment"]["target"]) == drawn["text"] + "<end>"  # of this text, not of the likeliest one
    months = [f"{year}-{month:02}" for year in (2000, 2001) for month in range(1, 13)]
    forecast = server.ask(CO2, "forecast", table={"co2": [370.0 + i / 10 for i in range(24)]}, times=months)
    assert forecast == zoo.load(CO2).forecast({"co2": [370.0 + i / 10 for i in range(24)]}, months)
    assert [one["name"] for one in server.client.get("/models").json()][:2] == [ALICE, TOY]
    assert server.client.get("/health").json()["models"] == 8


def test_every_address_is_described(server: Server) -> None:
    described = server.client.get("/openapi.json").json()
    actions = {
        f"/models/{one['name']}/{action}" for one in server.client.get("/models").json() for action in one["actions"]
    }
    assert actions <= set(described["paths"])
    schema = described["paths"][f"/models/{ALICE}/generate"]["post"]["requestBody"]["content"]["application/json"]
    assert schema["schema"]["properties"]["top_k"] == {
        "anyOf": [{"type": "integer"}, {"type": "null"}],
        "default": None,
    }


def test_many_texts_at_once_are_each_what_they_are_alone(server: Server) -> None:
    model = zoo.load(ALICE)
    asked: list[dict[str, Any]] = [
        {"prompt": ("alice was", "the ", "")[i % 3], "length": 10 + 7 * (i % 5), "seed": i, **extra}
        for i, extra in enumerate(
            [{"temperature": 0.5}, {"top_k": 3}, {"repetition_penalty": 1.3}, {"stop": ["e"]}] * 6
        )
    ]

    async def gather() -> list[dict[str, Any]]:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            posts = [client.post(f"/models/{ALICE}/generate", json=one) for one in asked]
            return [answer.json() for answer in await asyncio.gather(*posts)]

    for one, found in zip(asked, asyncio.run(gather()), strict=True):
        assert found["text"] == model.generate(**one), one
        assert len(found["log_probs"]) == len(found["text"])


def test_a_stream_tells_the_chances_and_the_state_of_each_symbol(server: Server) -> None:
    asked = {"prompt": "alice was", "length": 12, "temperature": 0, "top": 3, "state": "state_3"}
    with server.client.stream("POST", f"/models/{ALICE}/stream", json=asked) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        symbols = list(events(answer))
    text = "".join(one["text"] for one in symbols)
    assert text == zoo.load(ALICE).generate("alice was", 12, temperature=0)
    read = server.ask(ALICE, "read", text=f"alice was{text}", top=3, state="state_3")
    assert [one["state"] for one in symbols] == [pytest.approx(one["state"], abs=2e-3) for one in read[9:]]
    likeliest = [max(one["top"], key=lambda pair: pair[1])[0] for one in read[8:-1]]
    assert "".join(likeliest) == text


def test_a_client_that_goes_away_ends_its_work(server: Server) -> None:
    asked = {"length": 500, "seed": 1}
    for _ in range(80):  # more than may wait
        with server.client.stream("POST", f"/models/{ALICE}/stream", json=asked) as answer:
            assert answer.status_code == 200
            next(answer.iter_lines())
    assert server.ask(ALICE, "generate", length=5, temperature=0)["text"]


BAD: dict[str, tuple[str, Any, int, str]] = {
    "no JSON": (f"{ALICE}/generate", b"{", 400, "the body can't be read as JSON"),
    "no object": (f"{ALICE}/generate", b"[1]", 400, "expected a JSON object"),
    "not UTF-8": (f"{ALICE}/generate", b"\xff\xfe", 400, "can't be read as JSON"),
    "endless depth": (f"{ALICE}/generate", b"[" * 9000, 400, "can't be read as JSON"),
    "NaN": (f"{ALICE}/generate", b'{"temperature": NaN}', 400, "NaN is no JSON"),
    "field": (f"{ALICE}/generate", {"promt": "a"}, 422, "unknown field 'promt'; did you mean prompt?"),
    "type": (f"{ALICE}/generate", {"length": "9"}, 422, "length: got '9', expected integer"),
    "bool": (f"{ALICE}/generate", {"length": True}, 422, "length: got True, expected integer"),
    "large number": (f"{ALICE}/generate", {"seed": 10**30}, 422, "seed: got 1000"),
    "large float": (f"{ALICE}/generate", {"temperature": 10**300}, 422, "temperature: got 1000"),
    "range": (f"{ALICE}/generate", {"top_p": 2}, 422, "top_p: got 2.0, expected above 0 and at most 1"),
    "negative seed": (f"{ALICE}/generate", {"seed": -1}, 422, "seed: got -1, expected at least 0"),
    "nothing left": (f"{ALICE}/generate", {"allowed": ""}, 422, "no symbol is left"),
    "stop": (f"{ALICE}/generate", {"stop": [1]}, 422, "stop: expected texts"),
    "symbol": (f"{ALICE}/generate", {"prompt": "ALICE 愛"}, 422, "the symbol '愛' at position 6 is not among"),
    "choice": (f"{ALICE}/generate", {"on_unknown": "x"}, 422, "on_unknown: got 'x', expected one of error"),
    "state": (f"{ALICE}/stream", {"state": "state_9"}, 422, "state: got 'state_9', expected one of state_0"),
    "length": (f"{ALICE}/generate", {"length": 10**9}, 413, "length: got 1000000000, expected at most 500"),
    "no length": (f"{ALICE}/generate", {"length": 0}, 422, "length: got 0, expected at least 1"),
    "long text": (f"{ALICE}/read", {"text": "a" * 501}, 413, "text: got 501, expected at most 500"),
    "long prompt": (f"{ALICE}/generate", {"prompt": "a" * 501}, 413, "prompt: got 501"),
    "large body": (f"{ALICE}/generate", {"prompt": "a" * 30_000}, 413, "the body has more than 20000 bytes"),
    "missing": (f"{TOY}/translate", {}, 422, "texts: missing"),
    "empty": (f"{TOY}/translate", {"texts": []}, 422, "expected at least one"),
    "no text": (f"{TOY}/translate", {"texts": [3]}, 422, "got 3, expected a text"),
    "bare": (f"{STEPS}/values", {"sequences": [1, 2, 3]}, 422, "expected a list of sequences"),
    "one digit": (f"{DIGITS}/classify", {"inputs": [[0.5] * 28]}, 422, "got shape (28,), expected texts"),
    "long input": (f"{TAGS}/tag", {"texts": ["a" * 600]}, 413, "an input: got 600, expected at most 500"),
    "nothing to read": (f"{WORDS}/classify", {"inputs": [""], "steps": True}, 422, "got an empty text"),
    "no beam": (f"{TOY}/translate", {"texts": ["word"], "beam": 0}, 422, "beam: got 0, expected at least 1"),
    "penalty": (f"{TOY}/translate", {"texts": ["word"], "length_penalty": "x"}, 422, "length_penalty: got 'x'"),
    "beam": (f"{TOY}/translate", {"texts": ["word"], "beam": 10**6}, 413, "beam: got 1000000, expected at most 50"),
    "both": (f"{TOY}/translate", {"texts": ["word"], "beam": 3, "temperature": 1}, 422, "no effect with several"),
    "ragged": (f"{DIGITS}/classify", {"inputs": [[[0], [0, 1]]]}, 422, "inputs: expected texts, or arrays"),
    "shape": (f"{DIGITS}/classify", {"inputs": [[[0.5]]]}, 422, "expected (N, 28, 28)"),
    "objects": (f"{DIGITS}/classify", {"inputs": [{}]}, 422, "expected numbers of shape"),
    "words": (f"{STEPS}/values", {"sequences": [["a", "b", "c"]]}, 422, "expected numbers"),
    "column": (f"{CO2}/forecast", {"table": {"c02": [1, 2]}}, 422, "column 'co2' not found; did you mean c02?"),
    "model": ("char_lm_lstm.alise/generate", {}, 404, "unknown model 'char_lm_lstm.alise'; did you mean"),
    "action": (f"{TOY}/generate", {}, 404, "no action 'generate', expected one of translate"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_get_a_short_error(server: Server, name: str) -> None:
    address, asked, status, message = BAD[name]
    found = server.refused(f"/models/{address}", asked if isinstance(asked, bytes) else json.dumps(asked))
    assert found[0] == status
    assert message in found[1]
    assert len(found[1]) < 400


def test_one_bad_input_spoils_no_other_request(server: Server) -> None:
    async def gather() -> list[int]:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            texts = ["word", "w1", "love", ""] * 8
            posts = [client.post(f"/models/{TOY}/translate", json={"texts": [text]}) for text in texts]
            return [answer.status_code for answer in await asyncio.gather(*posts)]

    assert asyncio.run(gather()) == [200, 422, 200, 422] * 8


def test_too_many_requests_are_told_to_come_back(server: Server) -> None:
    async def gather() -> list[int]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
            posts = [client.post(f"/models/{ALICE}/generate", json={"length": 400}) for _ in range(150)]
            return [answer.status_code for answer in await asyncio.gather(*posts)]

    codes = asyncio.run(gather())
    assert set(codes) == {200, 429}
    assert codes.count(200) >= 70


def test_a_body_of_100_megabytes_is_not_read(server: Server) -> None:
    address = server.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))) as client:
        head = f"POST /models/{ALICE}/generate HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000000\r\n\r\n"
        client.sendall(head.encode())
        try:
            for _ in range(1000):
                client.sendall(b"x" * 100_000)
        except (BrokenPipeError, ConnectionResetError):
            pass
        else:
            pytest.fail("all of it was read")
    assert server.client.get("/health").status_code == 200


def test_other_hosts_and_other_web_pages_are_refused(server: Server) -> None:
    for header in ({"host": "example.com"}, {"origin": "http://example.com"}):
        answer = server.client.get("/models", headers=header)
        assert (answer.status_code, "error" in answer.json()) == (403, True)
    assert server.client.get("/models", headers={"origin": server.url}).status_code == 200


def test_a_client_that_does_not_wait_for_its_text_ends_its_work(server: Server) -> None:
    for _ in range(80):  # more than may wait
        with pytest.raises(httpx.ReadTimeout):
            server.client.post(f"/models/{ALICE}/generate", json={"length": 500}, timeout=0.01)
    assert server.ask(ALICE, "generate", length=5, temperature=0)["text"]


def test_a_thousand_malformed_requests_leave_no_trace(server: Server) -> None:
    drawn = random.Random(0)
    fields = ["prompt", "length", "temperature", "top_k", "stop", "seed", "texts", "inputs", "sequences", "table", "x"]
    values: list[Callable[[], Any]] = [
        *(lambda: None, lambda: drawn.choice([True, [], {}, [[]], [None], "", "愛", "\x00", -1, 1e300, 2**62])),
        *(lambda: drawn.randbytes(5).decode("latin-1"), lambda: [drawn.random()] * 3, lambda: {"a": [1, "b"]}),
    ]
    names = [one["name"] for one in server.client.get("/models").json()]
    actions = ["generate", "stream", "read", "classify", "tag", "translate", "values", "forecast"]

    def bodies(count: int) -> None:
        for _ in range(count):
            action = drawn.choice(actions)
            asked: dict[str, Any] = {"length": 2} if action in ("generate", "stream") else {}
            asked |= {drawn.choice(fields): drawn.choice(values)() for _ in range(drawn.randint(1, 3))}
            body = json.dumps(asked).encode()
            body = body[: drawn.randint(1, len(body))] if drawn.random() < 0.3 else body
            address = f"/models/{drawn.choice(names)}/{action}"
            answer = server.client.post(address, content=body)
            assert answer.status_code in (200, 400, 404, 413, 422), (address, body, answer.text)

    bodies(200)
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    bodies(800)
    assert process.memory_info().rss - before < 30e6
    assert process.num_threads() < 60


def test_it_serves_exports_and_lets_requests_finish(tmp_path: Path) -> None:
    write(zoo.load(ALICE), tmp_path / "alice")
    server = Server(tmp_path / "alice")
    found: list[Any] = []

    def read() -> None:
        with server.client.stream("POST", "/models/alice/stream", json={"length": 500, "temperature": 0}) as answer:
            for symbol in events(answer):
                found.append(symbol)
                if len(found) == 1:
                    os.kill(server.process.pid, signal.SIGTERM)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(60)
    assert "".join(one["text"] for one in found) == zoo.runtime.load(tmp_path / "alice").generate(
        length=500, temperature=0
    )
    assert server.process.wait(30) == -signal.SIGTERM
    assert server.stop() == ""


def test_bad_commands_say_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def error(*words: object) -> str:
        done = run_zoo("serve", *words)
        assert done.returncode == 2
        return done.stderr.splitlines()[-1]

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"127.0.0.1:{port} can't be used: Address already in use; try --port 0" in error(TOY, "--port", port)
    assert "--port: got 70000, expected 0 to 65535" in error(TOY, "--port", 70000)
    assert "--max_waiting: got 0" in error(TOY, "--port", 0, "--max_waiting", 0)
    assert "unknown model 'char_lm_lstm.alise'; did you mean" in error("char_lm_lstm.alise", "--port", 0)
    assert "two models have the name" in error(TOY, TOY, "--port", 0)
    monkeypatch.delitem(sys.modules, "zoo.serve.running", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'rnn-zoo[serve]'" in error(TOY, "--port", 0)
