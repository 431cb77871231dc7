#!/usr/bin/env python3
"""A page that continues texts: text_generation_demo.py --port 20014 --model_path XVERSE-7B"""

import common
import gradio as gr
from xverse import XverseError

WORDS = {
    "input": ("Input", "输入"),
    "output": ("Output", "输出"),
    "generate": ("Generate", "生成"),
    "stop": ("Stop", "停止"),
    "clear": ("Clear", "清除"),
    "figures": ("First token → speed · answer · context", "首字延迟 → 速度 · 回答 · 上下文"),
    "max_new_tokens": ("max_new_tokens", "max_new_tokens：最大生成长度"),
    "temperature": ("temperature: 0 is greedy", "temperature：随机性，0 为贪心"),
    "top_k": ("Top K: 0 is off", "Top K：0 为关闭"),
    "top_p": ("Top P: 1 is off", "Top P：1 为关闭"),
    "repetition_penalty": ("repetition_penalty: 1 is off", "repetition_penalty：重复惩罚，1 为关闭"),
}


def make_page(engine, title, t):
    async def generate(text, max_new_tokens, temperature, top_k, top_p, repetition_penalty):
        options = {
            "max_new_tokens": max_new_tokens, "temperature": temperature, "do_sample": temperature > 0,
            "top_k": top_k, "top_p": top_p, "repetition_penalty": repetition_penalty,
        }  # fmt: skip
        try:
            async for found, figures in engine.stream(text, **options):
                yield found, figures
        except XverseError as error:
            raise gr.Error(str(error)) from error

    with gr.Blocks(title=title, analytics_enabled=False) as page:
        gr.Markdown(f"# {title}\n{engine.describe()}")
        text = gr.Textbox(label=t("input"), lines=5, elem_id="input")
        output = gr.Textbox(label=t("output"), lines=5, buttons=["copy"], interactive=False, elem_id="output")
        figures = gr.Textbox(label=t("figures"), interactive=False, elem_id="figures", max_lines=1)
        with gr.Row():
            start = gr.Button(t("generate"), variant="primary", min_width=60, elem_id="generate")
            stop = gr.Button(t("stop"), min_width=60, elem_id="stop")
            clear = gr.Button(t("clear"), min_width=60, elem_id="clear")
        sliders = [
            gr.Slider(1, 512, value=100, step=1, label=t("max_new_tokens")),
            gr.Slider(0, 1, value=1, step=0.05, label=t("temperature")),
            gr.Slider(0, 50, value=50, step=1, label=t("top_k")),
            gr.Slider(0, 1, value=0.92, step=0.02, label=t("top_p")),
            gr.Slider(0.5, 2, value=1, step=0.01, label=t("repetition_penalty")),
        ]
        running = start.click(
            generate, [text, *sliders], [output, figures], api_name="generate", concurrency_limit=None
        )  # fmt: skip
        # What there is so far stays.
        stop.click(None, cancels=[running])
        clear.click(
            lambda: ("", "", ""), None, [text, output, figures], cancels=[running], queue=False, api_visibility="private"
        )  # fmt: skip
    return page


def main():
    arguments = common.parse_arguments(__doc__, 20014, "./model")
    t = common.texts(**WORDS)
    engine = common.Engine(arguments)
    common.launch(make_page(engine, arguments.title or engine.model.info.name, t), arguments, t)


if __name__ == "__main__":
    main()
