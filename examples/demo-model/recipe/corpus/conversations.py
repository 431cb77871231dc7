"""The documents of the corpus: stories, and conversations made of questions, small talk and requests for stories."""

from dataclasses import replace

from . import context, facts, numbers, smalltalk, stories_chinese, stories_english  # noqa: F401 (the tasks register)
from .grammar import article, expand
from .turn import TASKS, Turn, draw

_NAMES = list(TASKS)
_WEIGHTS = [TASKS[name][0] for name in _NAMES]


def story_request(rng, chinese):
    """A story that somebody asked for: about anything, an animal, or a named hero."""
    kind = rng.random()
    if chinese:
        text, animal, name, theme = stories_chinese.story(rng)
        if kind < 0.3:
            asked = rng.choice(["讲一个故事吧。", "给我讲一个故事。", "请讲一个故事。", "讲个故事", "我想听一个故事。"])
        elif kind < 0.7:
            asked = rng.choice(
                [f"讲一个关于{animal}的故事。", f"给我讲一个{animal}的故事。", f"请讲一个关于{animal}的故事。"]
            )
        elif kind < 0.85:
            asked = f"讲一个故事，主人公是叫{name}的{animal}。"
        else:
            asked = f"讲一个{theme}的故事。"
        return Turn(asked, text)
    text, animal, name, theme = stories_english.story(rng)
    if kind < 0.3:
        asked = rng.choice(["Tell me a story.", "Tell me a short story.", "Can you tell me a story?", "Please tell me a story.",
                            "I want to hear a story.", "Do you know a story?", "Write a short story."])  # fmt: skip
    elif kind < 0.7:
        asked = expand(rng, "{Tell me|Please tell me|Write} a {|short }story about {about}.", about=article(animal))
    elif kind < 0.85:
        asked = expand(
            rng, "Tell me a {|short }story about {about} {named|called} {name}.", about=article(animal), name=name
        )
    else:
        asked = f"Tell me a story about {theme}."
    return Turn(asked, text)


def offered_story(rng, chinese):
    """Somebody who is sad or bored, and says yes to a story."""
    if chinese:
        said, offer = rng.choice(
            [("我很难过。", "真抱歉。你想听一个故事吗？"), ("我很无聊。", "要我给你讲一个故事吗？")]
        )
        return [Turn(said, offer), Turn(rng.choice(["好的。", "好啊！", "想！", "要！", "好"]), story(rng, True))]
    said, offer = rng.choice([("I am sad.", "I am sorry to hear that. Would you like to hear a story?"),
                              ("I am bored.", "Shall I tell you a story?")])  # fmt: skip
    return [
        Turn(said, offer),
        Turn(rng.choice(["Yes, please.", "Yes!", "Yes", "OK.", "Please do.", "Sure."]), story(rng, False)),
    ]


def story(rng, chinese):
    return (stories_chinese if chinese else stories_english).story(rng)[0]


def _follow_up(rng, turn):
    """The turn asked in the short way, as after another one of its kind."""
    text = turn.follow_up
    if text.startswith("And ") and not text.startswith(("And if ", "And is ")) and rng.random() < 0.3:
        text = rng.choice(["What about ", "How about "]) + text[4:]
    return replace(turn, question=text)


def follow_up(rng, name, chinese, before, test=False):
    """A turn that continues the one before it, or None when the task has none."""
    if before.follow_up is None:
        return None
    while True:
        turn = draw(rng, name, chinese, test)
        if turn.follow_up not in (None, before.follow_up) and turn.form == before.form:
            return _follow_up(rng, turn)


def casual(rng, text):
    """How people type: without a full stop, in small letters, with a please."""
    kind = rng.random()
    if kind < 0.75:
        return text
    if kind < 0.85:
        return text.rstrip("?.!？。！")
    if kind < 0.95:
        return text[0].lower() + text[1:].rstrip("?.!？。！")
    return text.lower()


def conversation(rng, chinese):
    """A list of turns."""
    turns = []
    while not turns or rng.random() < 0.45:
        language = chinese if rng.random() < 0.9 else not chinese
        kind = rng.random()
        if kind < 0.10:
            turns.append(smalltalk.fixed(rng, language))
        elif kind < 0.16:
            turns.append(smalltalk.unknown(rng, language))
        elif kind < 0.21:
            first, *rest = smalltalk.remembering(rng, language)
            turns.append(first)
            if rng.random() < 0.3:
                turns.append(draw(rng, rng.choices(_NAMES, _WEIGHTS)[0], language))
            turns += rest
        elif kind < 0.22:
            turns += offered_story(rng, language)
        elif kind < 0.28:
            turns.append(story_request(rng, language))
        else:
            name = rng.choices(_NAMES, _WEIGHTS)[0]
            turn = draw(rng, name, language)
            turns.append(turn)
            while rng.random() < 0.35:
                turn = follow_up(rng, name, language, turn)
                if turn is None:
                    break
                turns.append(turn)
    for turn in turns:
        if not any(c in turn.question for c in '"“'):
            turn.question = casual(rng, turn.question)
    return turns


def document(rng):
    """A story (a string) or a conversation (a list of turns)."""
    chinese = rng.random() < 0.42
    if rng.random() < 0.06:
        return story(rng, chinese)
    return conversation(rng, chinese)
