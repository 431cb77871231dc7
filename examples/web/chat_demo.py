#!/usr/bin/env python3
"""A page to chat with an XVERSE model: chat_demo.py --port 36000 --model_path XVERSE-7B-Chat"""

import common
import gradio as gr
from xverse import XverseError

WORDS = {
    "history": ("Chat history", "对话记录"),
    "message": ("Enter message and press enter", "输入消息后按回车发送"),
    "send": ("Send", "发送"),
    "stop": ("Stop", "停止"),
    "retry": ("Retry", "重新生成"),
    "undo": ("Undo", "撤回"),
    "clear": ("Clear", "清空"),
    "advanced": ("Advanced settings", "高级设置"),
    "system": ("System prompt", "系统提示词"),
    "figures": ("First token → speed · answer · context", "首字延迟 → 速度 · 回答 · 上下文"),
    "max_new_tokens": ("max_new_tokens: length of an answer", "max_new_tokens：回答的最大长度"),
    "temperature": ("temperature: 0 is greedy", "temperature：随机性，0 为贪心"),
    "top_k": ("top_k: 0 is off", "top_k：0 为关闭"),
    "top_p": ("top_p: 1 is off", "top_p：1 为关闭"),
    "repetition_penalty": ("repetition_penalty: 1 is off", "repetition_penalty：重复惩罚，1 为关闭"),
}
OPTIONS = ("max_new_tokens", "temperature", "top_k", "top_p", "repetition_penalty")


def content(message):
    """The text of a message; gradio has it as a string or in parts."""
    found = message["content"]
    return found if isinstance(found, str) else "".join(part.get("text", "") for part in found)


def add_message(text, history, turn):
    """Puts what was typed into the history, and empties the line."""
    if not text.strip():
        return "", history, turn
    return "", [*history, {"role": "user", "content": text}], turn + 1


def again(history, turn):
    """Takes the last answer away, for another one."""
    return without_answer(history), turn + 1


def without_answer(history):
    """The history up to the last message of the user."""
    while history and history[-1]["role"] != "user":
        history = history[:-1]
    return history


def undo(history):
    """The history without its last round, and the message of it to be edited."""
    history = without_answer(history)
    return (content(history[-1]), history[:-1]) if history else ("", history)


def make_page(engine, title, t):
    async def answer(history, system, *values):
        if not history or history[-1]["role"] != "user":
            yield history, gr.skip()
            return
        messages = [("system", system)] if system and system.strip() else []
        messages += [(message["role"], content(message)) for message in history]
        options = dict(zip(OPTIONS, values))
        try:
            async for text, figures in engine.stream(messages, **options):
                yield [*history, {"role": "assistant", "content": text}], figures
        except XverseError as error:
            raise gr.Error(str(error)) from error

    defaults = engine.defaults()
    with gr.Blocks(title=title, analytics_enabled=False) as page:
        gr.Markdown(f"# {title}\n{engine.describe()}")
        history = gr.Chatbot(
            label=t("history"), height="50vh", buttons=["copy", "copy_all"], latex_delimiters=[], elem_id="history"
        )
        figures = gr.Textbox(label=t("figures"), interactive=False, elem_id="figures", max_lines=1)
        with gr.Row():
            line = gr.Textbox(show_label=False, placeholder=t("message"), scale=8, autofocus=True, elem_id="message")
            send = gr.Button(t("send"), variant="primary", scale=1, min_width=80, elem_id="send")
        with gr.Row():
            stop, retry, take_back, clear = (
                gr.Button(t(name), size="sm", min_width=60, elem_id=name) for name in ("stop", "retry", "undo", "clear")
            )
        with gr.Accordion(t("advanced"), open=False, elem_id="advanced"):
            system = gr.Textbox(label=t("system"), lines=2, elem_id="system")
            bounds = {
                "max_new_tokens": (1, engine.context, 1), "temperature": (0, 2, 0.05), "top_k": (0, 100, 1),
                "top_p": (0, 1, 0.01), "repetition_penalty": (0.5, 2, 0.01),
            }  # fmt: skip
            sliders = [
                gr.Slider(*bounds[name][:2], value=defaults[name], step=bounds[name][2], label=t(name))
                for name in OPTIONS
            ]
        # Each new value asks for an answer to the last message; what is asked for before its end takes its place.
        turn = gr.State(0)
        running = turn.change(
            answer, [history, system, *sliders], [history, figures], api_name="chat", concurrency_limit=None,
            trigger_mode="multiple",
        )  # fmt: skip
        quick = {
            "cancels": [running],
            "concurrency_limit": None,
            "trigger_mode": "multiple",
            "api_visibility": "private",
        }
        gr.on([send.click, line.submit], add_message, [line, history, turn], [line, history, turn], **quick)
        retry.click(again, [history, turn], [history, turn], **quick)
        # What the answer has so far stays.
        stop.click(None, cancels=[running])
        take_back.click(undo, history, [line, history], **quick)
        gr.on([clear.click, history.clear], lambda: ([], ""), None, [history, figures], **quick)
    return page


def main():
    arguments = common.parse_arguments(__doc__, 36000, "./XVERSE-7B-Chat")
    t = common.texts(**WORDS)
    engine = common.Engine(arguments)
    common.launch(make_page(engine, arguments.title or engine.model.info.name, t), arguments, t)


if __name__ == "__main__":
    main()
