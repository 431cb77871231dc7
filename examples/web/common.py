"""What the two demos share: the command line, the model, the page's texts and looks."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

# The pages work without a network: nothing is reported, and no font comes from elsewhere. Set before gradio is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

try:
    import gradio
except ImportError:
    sys.exit("gradio is not installed: python3 -m pip install -r examples/web/requirements.txt")

from xverse import Model, XverseError

# Seconds between two updates of a page.
UPDATE = 0.05
# XVERSE's chat models have these in generation_config.json.
DEFAULTS = {"max_new_tokens": 2048, "temperature": 0.5, "top_k": 30, "top_p": 0.85, "repetition_penalty": 1.1}
CSS = """
footer { display: none !important }
.gradio-container { width: 100% !important; max-width: 1100px !important; margin: auto !important }
button { white-space: nowrap }
@media (max-width: 640px) { .gradio-container { padding: 8px !important } button { min-width: 0 !important } }
"""


def parse_arguments(doc, port, model_path):
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--port", type=int, default=port, help="default: %(default)s")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0: all (default: %(default)s)")
    parser.add_argument("--title", help="default: the model's name")
    parser.add_argument(
        "--model_path", default=model_path, help="Hugging Face directory or GGUF file (default: %(default)s)"
    )
    parser.add_argument("--tokenizer_path", help="default: the model's")
    parser.add_argument("--quantize", help="weight type: none, int8, int4, ...")
    parser.add_argument("--context", type=int, help="tokens of a prompt with its answer (default: the model's)")
    parser.add_argument("--threads", type=int, help="compute threads (default: the CPUs)")
    parser.add_argument("--parallel", type=int, default=16, help="answers that run together (default: %(default)s)")
    parser.add_argument("--share", action="store_true", help="make the page public through gradio's tunnel")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    return parser.parse_args()


class Engine:
    """A model and the scheduler that answers all visitors."""

    def __init__(self, arguments):
        options = {"quantize": arguments.quantize, "threads": arguments.threads}
        if arguments.tokenizer_path and arguments.tokenizer_path != arguments.model_path:
            options["tokenizer"] = arguments.tokenizer_path
        try:
            self.model = Model(arguments.model_path, **options)
            self.scheduler = self.model.async_scheduler(max_num_seqs=arguments.parallel, context=arguments.context)
        except XverseError as error:
            sys.exit(f"{error.name}: {error}")
        self.context = arguments.context or self.model.info.n_ctx_train

    def describe(self):
        info = self.model.info
        size = f"{info.n_params / 1e9:.3g}B" if info.n_params >= 1e9 else f"{info.n_params / 1e6:.3g}M"
        return f"{info.name} · {size} · {info.quant} · {self.context} tokens"

    def defaults(self):
        """The sampling options of the model's generation_config.json."""
        try:
            found = json.loads(Path(self.model.path, "generation_config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = {}
        chosen = {name: found.get(name, value) for name, value in DEFAULTS.items()}
        chosen["max_new_tokens"] = min(chosen["max_new_tokens"], self.context)
        return chosen

    async def stream(self, prompt, **options):
        """Pairs of the text so far and a line of figures, the last one with the whole text."""
        start = time.monotonic()
        first = shown = None
        text = ""
        async with self.scheduler.stream(prompt, **options) as answer:
            async for piece in answer:
                now = time.monotonic()
                first = first or now
                text += piece
                if shown is None or now - shown >= UPDATE:
                    shown = now
                    yield text, f"{first - start:.2f} s →"
            stats = (await answer.result()).stats
        tokens, seconds = stats.n_generated, stats.ns_decode / 1e9
        speed = f"{(tokens - 1) / seconds:.1f}" if tokens > 1 and seconds > 0 else "–"
        used = stats.n_prompt + tokens
        yield text, f"{stats.ns_first_token / 1e9:.2f} s → {speed} tokens/s · {tokens} tokens · {used}/{self.context}"


def texts(**pairs):
    """Strings of the page in the language of the browser: name=(English, Chinese)."""
    english = {name: pair[0] for name, pair in pairs.items()}
    chinese = {name: pair[1] for name, pair in pairs.items()}
    return gradio.I18n(**{"en": english, "zh": chinese, "zh-CN": chinese, "zh-TW": chinese})


def launch(page, arguments, i18n):
    """Serves the page until Ctrl-C."""
    theme = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    try:
        page.queue(default_concurrency_limit=None).launch(
            server_name=arguments.host, server_port=arguments.port, share=arguments.share, inbrowser=arguments.open,
            i18n=i18n, theme=theme, css=CSS, footer_links=[], run_history=False, ssr_mode=False, mcp_server=False,
            enable_monitoring=False, strict_cors=True,
        )  # fmt: skip
    except OSError as error:
        sys.exit(f"cannot listen: {error}")
