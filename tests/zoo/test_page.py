"""The page of `zoo page`, in a browser with real clicks, and against a server of its API."""

import functools
import http.server
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

import zoo
from datamodules.sources.cache import cache_dir
from support import PAGE_RUNTIME, TOY, needs_mnist, needs_page_runtime
from zoo import symbols
from zoo.graphs import write as write_graphs
from zoo.methods import times
from zoo.models import CharLMConfig, CharLMModel
from zoo.page import HERE
from zoo.page.writing import write
from zoo.serve.app import create
from zoo.serve.running import listen
from zoo.serve.served import Limits

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
WAIT_MS = 30_000
ALICE, DIGITS = "char_lm_lstm.alice_heldout", "seq_classifier_fast_grnn.mnist_rows"
PEN = 2  # pixels of MNIST that a stroke is wide


class Static(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, quietly."""

    def do_GET(self) -> None:
        if self.path != "/favicon.ico":
            return super().do_GET()
        return self.send_error(204)

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Expects that a browser hangs up when it has seen enough."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """Serves with a handler; returns the address."""
    servers = []

    def start(handler: Any) -> str:
        server = Server(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def visit() -> Iterator[Callable[..., Any]]:
    """Opens an address in a browser. Requests of other addresses, and errors on the console, fail the test."""
    wrong: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def go(address: str, **options: Any) -> Any:
            page = browser.new_page(viewport={"width": 1280, "height": 900}, **options)
            page.set_default_timeout(WAIT_MS)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda said: said.type in ("error", "warning") and wrong.append(said.text))
            home = "/".join(address.split("/")[:3]) + "/"
            page.on("request", lambda one: one.url.startswith((home, "data:")) or wrong.append(one.url))
            page.goto(address)
            return page

        yield go
        browser.close()
    assert not wrong


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Exports models, each of them once."""
    folder = tmp_path_factory.mktemp("exports")

    def export(name: str) -> Path:
        if not (folder / name).exists():
            write_graphs(zoo.load(name), folder / name)
        return folder / name

    return export


@pytest.fixture
def shown(tmp_path: Path, exported: Callable, serve: Callable, visit: Callable) -> Callable[..., Any]:
    """Writes the page of some models, and opens it."""

    def show(*names: str, **options: Any) -> Any:
        write({name: exported(name) for name in names}, tmp_path / "page", PAGE_RUNTIME)
        return visit(serve(functools.partial(Static, directory=str(tmp_path / "page"))), **options)

    return show


def write_text(page: Any, prompt: str, length: int, temperature: float, seed: int, expected: str) -> None:
    """Has a text written, and waits until it is the expected one."""
    page.get_by_text("fast", exact=True).click()
    page.get_by_label("The text begins with").fill(prompt)
    page.get_by_label("Temperature").fill(str(temperature))
    page.get_by_label("Length").fill(str(length))
    page.get_by_label("Seed").fill(str(seed))
    deadline = time.monotonic() + WAIT_MS / 1000
    while (text := text_of(page)) != expected and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert text == expected


def text_of(page: Any) -> str:
    return "".join(page.locator(".cell .letter").all_text_contents()).replace("\u21b5", "\n")


def colours(page: Any) -> list[str]:
    return page.locator(".cell .letter").evaluate_all("all => all.map((one) => one.style.background)")


@needs_page_runtime
@needs_browser
def test_a_language_model_writes_what_it_writes_in_python(shown: Callable) -> None:
    page, model = shown(ALICE), zoo.load(ALICE)
    prompt = "the queen "
    write_text(page, prompt, 60, 0, 1, prompt + model.generate(prompt, length=60, temperature=0))
    write_text(page, prompt, 60, 0.7, 5, prompt + model.generate(prompt, length=60, temperature=0.7, seed=5))


@needs_page_runtime
@needs_browser
def test_characters_have_the_colour_of_a_unit_and_what_comes_next(shown: Callable) -> None:
    page, model = shown(ALICE), zoo.load(ALICE)
    text = "alice" + model.generate("alice", length=20, temperature=0)
    write_text(page, "alice", 20, 0, 1, text)
    page.get_by_role("button", name="Write", exact=True).wait_for()
    page.get_by_label("State").select_option("state_1")  # the cells of layer 1
    page.locator(".unit").nth(3).click()
    unit = int(page.locator(".unit input:checked").input_value())
    page.locator(".text").press("Home")
    (c,) = model.features(text[:1]).state[1][:, unit].tolist()
    shown_value = page.locator(".inspector").inner_text().partition(f"Unit {unit} is ")[2].split(" here")[0]
    assert float(shown_value) == pytest.approx(c, rel=0.01, abs=0.001)
    assert page.locator(".letter").first.evaluate("one => one.style.background").startswith("rgb")
    likeliest = model.infer(text[0])[0]["prediction"]
    assert page.locator(".inspector .name").first.text_content() == likeliest
    page.get_by_text("With guesses").click()
    assert page.locator(".cell").first.locator(".guesses span").first.inner_text() == likeliest


def strokes(image: Any) -> Iterator[tuple[float, float, float]]:
    """Horizontal strokes that paint an image of 28 x 28 pixels: row, and from where to where."""
    for row, pixels in enumerate(image.tolist()):
        inked = [column for column in range(28) if pixels[column] > 0.5]
        starts = [column for column in inked if column - 1 not in inked]
        ends = [column + 1 for column in inked if column + 1 not in inked]
        for start, end in zip(starts, ends, strict=True):
            middle, half = (start + end) / 2, max(0.0, (end - start - PEN) / 2)
            yield row + 0.5, middle - half, middle + half


def paint(page: Any, image: Any) -> None:
    page.get_by_role("button", name="Clear").click()
    box = page.locator(".drawing").bounding_box()
    place = {"x": lambda x: box["x"] + x * box["width"] / 28, "y": lambda y: box["y"] + y * box["height"] / 28}
    for row, start, end in strokes(image):
        page.mouse.move(place["x"](start), place["y"](row))
        page.mouse.down()
        page.mouse.move(place["x"](end), place["y"](row))
        page.mouse.up()


@needs_mnist
@needs_page_runtime
@needs_browser
def test_a_painted_digit_is_classified_after_each_row(shown: Callable) -> None:
    images = cache_dir() / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    import torch

    pixels = (
        torch.frombuffer(bytearray(images.read_bytes()[16 : 16 + 3 * 784]), dtype=torch.uint8).view(3, 28, 28) / 255
    )
    page, model = shown(DIGITS, reduced_motion="reduce"), zoo.load(DIGITS)
    page.locator(".verdict.final").wait_for()
    for image, label in zip(pixels, "721", strict=True):
        paint(page, image)
        page.locator(".verdict.final").wait_for()
        assert page.locator(".verdict .big").text_content() == label
    seen = page.locator(".seen").evaluate("one => [...one.getContext('2d').getImageData(0, 0, 28, 28).data]")
    image = torch.tensor(seen[::4]).view(28, 28) / 255
    probabilities = model(torch.stack([image]))[0].softmax(-1)
    figures = [float(text.removesuffix("%")) for text in page.locator(".chances .figure").all_text_contents()]
    assert figures == pytest.approx((100 * probabilities).tolist(), abs=1)
    assert page.locator(".heat span").count() == 28 * 10
    page.get_by_label("Rows that were read").press("Home")
    assert "after 1 rows" in page.locator(".verdict").inner_text()


@needs_page_runtime
@needs_browser
def test_a_translation_and_where_it_looked_are_those_of_the_model(shown: Callable) -> None:
    name = "seq2seq_lstm.addition_attention"
    page, model = shown(name), zoo.load(name)
    page.get_by_label("From").fill("604+97")
    (target,), (alignment,) = model.translate("604+97"), model.align("604+97")
    sync_api.expect(page.locator(".translation")).to_have_text(target)
    cells = [int(text) for text in page.locator(".alignment tbody td").all_text_contents()]
    assert cells == pytest.approx([100 * weight for row in alignment.weights for weight in row], abs=0.51)
    page.get_by_label("From").fill("6x4")
    sync_api.expect(page.get_by_role("alert")).to_contain_text("does not know \u201cx\u201d")


@pytest.mark.slow
@needs_page_runtime
@needs_browser
def test_a_forecast_is_that_of_the_model_also_of_other_numbers(shown: Callable) -> None:
    page, model = shown("regressor_gru.co2"), zoo.load("regressor_gru.co2")
    page.get_by_text("Edit the numbers").click()
    inputs = page.locator(".number-field")
    times = page.locator(".number-field small").all_text_contents()

    def check() -> None:
        values = [float(one.input_value()) for one in inputs.locator("input").all()]
        found = model.forecast({"co2": values}, times)
        last = f"{found['values']['co2'][-1]:.2f}"
        sync_api.expect(page.locator(".verdict .big")).to_have_text(last)
        titles = page.locator(".dot.forecast title").all_text_contents()
        assert [title.split(": ")[0] for title in titles] == found["times"]
        shown_values = [float(title.split(": ")[1]) for title in titles]
        assert shown_values == pytest.approx(found["values"]["co2"], abs=0.001)
        assert f"between {found['quantiles']['co2']['0.1'][-1]:.2f}" in page.locator(".verdict").inner_text()

    check()
    page.get_by_label("2001-12").fill("374.5")
    check()


@pytest.mark.slow
@needs_page_runtime
@needs_browser
def test_a_text_is_classified_after_each_symbol(shown: Callable) -> None:
    name = "seq_classifier_lstm.words_gutenberg"
    page, model = shown(name), zoo.load(name)
    page.get_by_label("Input").fill("dee")
    sync_api.expect(page.locator(".verdict .big")).to_have_text(model.classify("dee")[0].label)
    assert page.locator(".matrix thead th").all_text_contents() == ["d", "e", "e"]
    page.get_by_label("Input").fill("de")
    sync_api.expect(page.get_by_role("alert")).to_contain_text("reads 3 steps, and got 2")


@needs_page_runtime
@needs_browser
def test_a_long_prompt_does_not_freeze_the_page_and_can_be_stopped(shown: Callable) -> None:
    page = shown(ALICE)
    page.get_by_label("The text begins with").fill("alice " * 834)
    sync_api.expect(page.get_by_role("alert")).to_contain_text("has 5004 symbols. This page reads at most 5000")
    page.get_by_label("The text begins with").fill("alice " * 833)
    sync_api.expect(page.locator(".cell").nth(50)).to_be_attached()
    page.get_by_role("button", name="Stop", exact=True).click(timeout=2000)
    assert page.locator(".cell").count() < 6 * 833


@pytest.mark.slow
@needs_page_runtime
@needs_browser
def test_a_text_of_bytes_that_ends_within_a_character_is_that_of_python(tmp_path: Path, serve: Any, visit: Any) -> None:
    vocab = tuple(map(chr, range(256)))
    model = CharLMModel(CharLMConfig(vocab=vocab, symbols="bytes", hidden_size=4))
    expected = next(
        (length, text)
        for length in range(1, 50)
        if (text := model.generate("a", length, seed=1)).endswith("\ufffd") and ord(max(text)) == 0xFFFD
    )
    write({"mine": model}, tmp_path / "page", PAGE_RUNTIME)
    page = visit(serve(functools.partial(Static, directory=str(tmp_path / "page"))))
    assert page.get_by_role("heading", level=1).inner_text() == "mine"
    page.get_by_text("fast", exact=True).click()
    page.get_by_label("Temperature").fill("1")
    page.get_by_label("Length").fill(str(expected[0]))
    page.get_by_label("The text begins with").fill("a")
    sync_api.expect(page.locator(".cell")).to_have_count(1 + expected[0])
    page.get_by_role("button", name="Write", exact=True).wait_for()
    assert text_of(page).replace("\u00b7", "") == "a" + expected[1]


@pytest.mark.slow
@needs_page_runtime
@needs_browser
def test_numbers_that_are_too_large_are_refused_and_models_that_are_left_are_released(shown: Callable) -> None:
    page = shown("regressor_lstm.three_steps", ALICE)
    answer, problem = page.locator(".verdict"), page.get_by_role("alert")
    sync_api.expect(answer.locator(".big")).to_have_text("55")
    page.locator(".number-field input").first.fill("1e39")
    sync_api.expect(problem).to_have_text("A number is too large for this model.")
    sync_api.expect(answer).to_have_css("opacity", "0.3")
    page.locator(".number-field input").first.fill("25")
    sync_api.expect(answer).to_have_css("opacity", "1")
    width = page.locator(".chart").get_attribute("viewBox")
    page.set_viewport_size({"width": 700, "height": 900})
    sync_api.expect(page.locator(".chart")).not_to_have_attribute("viewBox", width)
    page.evaluate(RELEASED)
    page.goto(page.url.split("#")[0] + f"#{ALICE}")
    page.locator(".cell").first.wait_for()
    assert page.evaluate("() => released") == 1


RELEASED = """async () => {
    const { InferenceSession } = await import('./runtime/ort.js'), { release } = InferenceSession.prototype;
    window.released = 0;
    InferenceSession.prototype.release = function () { window.released++; return release.call(this); };
}"""
CALL = "async ([file, call, values]) => { const m = await import(file); return values.map((v) => m[call](...v)); }"
DRAW = """async (seed) => {
    const next = (await import('./random.js')).generator(seed);
    return [next(), next(), next()];
}"""
FOLLOWING = """async ([texts, freq]) => {
    const m = await import('./times.js');
    return m.following(texts.map(m.parse), freq, 3).map((time) => m.show(time, freq));
}"""
TEXTS = [
    *("Oh dear! (said she)", "a  b", " two,three ", "caf\u00e9 \u2018x\u2019 it's 1/2 _a", "\n\nx", ""),
    "\u4e2d\u6587 \U0001f600",
]


@needs_browser
def test_the_page_splits_texts_draws_numbers_and_counts_months_as_the_package_does(
    serve: Callable, visit: Callable
) -> None:
    page = visit(serve(functools.partial(Static, directory=str(HERE))) + "page.css")  # runs no script
    for kind in ("characters", "words", "bytes"):
        pieces = [symbols.split(text, kind) for text in TEXTS]
        assert page.evaluate(CALL, ["./vocabulary.js", "split", [[text, kind] for text in TEXTS]]) == pieces
        assert page.evaluate(CALL, ["./vocabulary.js", "join", [[row, kind] for row in pieces]]) == TEXTS
    for seed in (0, 1, 2**32):
        assert page.evaluate(DRAW, seed) == np.random.default_rng([seed, 0]).random(3).tolist()
    for given, freq in (
        (["2023-11-30", "2023-12-31"], "1 month"),
        (["2024-02", "2024-03"], "1 month"),
        (["2024-02-28 22:30"], "15 minutes"),
    ):
        expected = [times.show(time, freq) for time in times.following(times.as_times(given), freq, 3)]
        assert page.evaluate(FOLLOWING, [given, freq]) == expected


@pytest.mark.slow
@needs_page_runtime
@needs_browser
def test_a_text_is_tagged(shown: Callable) -> None:
    name = "seq_tagger_lstm.punctuation"
    page = shown(name)
    text = "who are you said the caterpillar"
    page.get_by_label("Text").fill(text)
    sync_api.expect(page.locator(".edited")).to_have_text(zoo.load(name).edit(text)[0])
    assert page.locator(".edited ins").count() > 1


# -- the engine that asks a server


@pytest.fixture
def served() -> Iterator[Callable[..., str]]:
    """Serves models and the page; returns the address."""
    running: list[tuple[Any, threading.Thread]] = []

    def start(*names: str) -> str:
        app = create({name: zoo.load(name) for name in names}, Limits(), "127.0.0.1")
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        taken = listen("127.0.0.1", 0)
        taken.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join()


@needs_browser
def test_the_page_asks_the_server_that_serves_it(served: Callable, visit: Callable) -> None:
    names = (ALICE, DIGITS, "seq_classifier_lstm.words_gutenberg", TOY, "seq2seq_lstm.addition_attention")
    page = visit(served(*names, "regressor_lstm.three_steps", "regressor_gru.co2"), reduced_motion="reduce")
    model = zoo.load(ALICE)
    write_text(page, "alice", 40, 0, 1, "alice" + model.generate("alice", 40, temperature=0))
    write_text(page, "alice", 40, 0.7, 3, "alice" + model.generate("alice", 40, temperature=0.7, seed=3))
    write_text(page, "", 40, 0, 1, model.generate("", 40, temperature=0))
    page.get_by_role("button", name="Write", exact=True).wait_for()
    before, state = colours(page), page.get_by_label("State").input_value()
    page.get_by_label("State").select_option("state_0")
    page.get_by_label("State").select_option("state_1")
    page.get_by_label("State").select_option("state_0")
    page.get_by_role("button", name="Write", exact=True).wait_for()
    assert colours(page) != before
    page.get_by_label("State").select_option(state)
    page.get_by_role("button", name="Write", exact=True).wait_for()
    assert colours(page) == before
    page.get_by_role("link", name="Digits, row by row").click()
    page.locator(".verdict.final").wait_for()
    assert page.locator(".heat span").count() == 28 * 10
    page.get_by_role("link", name="The last letter").click()
    page.get_by_label("Input").fill("dee")
    answer = zoo.load(names[2]).classify("dee")[0].label
    sync_api.expect(page.locator(".verdict .big")).to_have_text(answer)
    for text, problem in (
        ("", "Type at least one symbol."),
        ("d\u00e9", "This model does not know \u201c\u00e9\u201d."),
    ):
        page.get_by_label("Input").fill(text)
        sync_api.expect(page.get_by_role("alert")).to_contain_text(problem)
    page.get_by_role("link", name="Six English words").click()
    page.get_by_label("From").fill("kiss")
    sync_api.expect(page.locator(".translation")).to_have_text("키스")
    page.get_by_role("link", name="by a decoder that looks").click()
    sync_api.expect(page.locator(".translation")).to_have_text("579")
    assert page.locator(".alignment tbody tr").count() == 4
    page.get_by_role("link", name="25 35 45").click()
    sync_api.expect(page.locator(".verdict .big")).to_have_text("55")
    page.get_by_role("link", name="The CO2").click()
    sync_api.expect(page.locator(".verdict .big")).to_have_text("372.79")
