"""Questions whose answer stands in the question, and translations of phrases."""

from .grammar import article
from .turn import Turn, task
from .words import (
    ACTIONS,
    ANIMALS,
    COLOURS,
    FOODS,
    NAMES,
    NAMES_CHINESE,
    NUMBERS,
    PEOPLE,
    THINGS,
    counted_chinese,
)  # fmt: skip

PLACES = [
    ("the park", "公园"), ("the beach", "海边"), ("the forest", "森林"), ("the garden", "花园"), ("the river", "河边"),
    ("the market", "市场"), ("the school", "学校"), ("the kitchen", "厨房"), ("the library", "图书馆"), ("the farm", "农场"),
    ("the lake", "湖边"), ("the mountains", "山上"),
]  # fmt: skip


@task(5)
def whose_colour(rng, chinese):
    things = rng.sample(THINGS, 2)
    colours = rng.sample(list(COLOURS), 2)
    asked = rng.randrange(2)
    kind = rng.randrange(2)
    if chinese:
        names = rng.sample(NAMES_CHINESE, 2)
        story = "，".join(
            f"{n}有一{t.measure}{COLOURS[c]}色的{t.chinese}" for n, t, c in zip(names, things, colours)
        )  # fmt: skip
        name, thing, colour = names[asked], things[asked], COLOURS[colours[asked]]
        if kind:
            question, answer = f"谁有{colour}色的{thing.chinese}？", f"{name}有{colour}色的{thing.chinese}。"
        else:
            question, answer = f"{name}的{thing.chinese}是什么颜色的？", f"{name}的{thing.chinese}是{colour}色的。"
        story += "。"
    else:
        names = [n[0] for n in rng.sample(NAMES, 2)]
        story = " and ".join(f"{n} has {article(c)} {t.name}" for n, t, c in zip(names, things, colours)) + ". "
        name, thing, colour = names[asked], things[asked], colours[asked]
        if kind:
            question, answer = f"Who has the {colour} {thing.name}?", f"{name} has the {colour} {thing.name}."
        else:
            question, answer = f"What colour is {name}'s {thing.name}?", f"{name}'s {thing.name} is {colour}."
    content = ("whose colour", *names, *(t.name for t in things), *colours, asked, kind)
    return Turn(story + question, answer, content)


@task(3)
def given_away(rng, chinese):
    thing, place = rng.choice(THINGS), rng.choice(PLACES)
    kind = rng.randrange(3)
    if chinese:
        a, b = rng.sample(NAMES_CHINESE, 2)
        found = f"一{thing.measure}{thing.chinese}"
        story = f"{a}在{place[1]}找到了{found}，把它送给了{b}。"
        question, answer = [
            (f"现在谁有这{thing.measure}{thing.chinese}？", f"现在{b}有这{thing.measure}{thing.chinese}。"),
            (f"谁找到了这{thing.measure}{thing.chinese}？", f"{a}找到了这{thing.measure}{thing.chinese}。"),
            (f"{a}在哪里找到了它？", f"{a}在{place[1]}找到了它。"),
        ][kind]
    else:
        (a, _, _), (b, _, _) = rng.sample(NAMES, 2)
        where = ("in " if place[0] in ("the mountains", "the park", "the garden", "the forest", "the kitchen", "the library")
                 else "at ") + place[0]  # fmt: skip
        story = f"{a} found {article(thing.name)} {where} and gave it to {b}. "
        question, answer = [
            (f"Who has the {thing.name} now?", f"{b} has the {thing.name} now."),
            (f"Who found the {thing.name}?", f"{a} found the {thing.name}."),
            (f"Where did {a} find the {thing.name}?", f"{a} found the {thing.name} {where}."),
        ][kind]
    return Turn(story + question, answer, ("given away", a, b, thing.name, place[0], kind))


@task(2)
def taller(rng, chinese):
    if chinese:
        a, b, c = rng.sample(NAMES_CHINESE, 3)
        tallest = rng.random() < 0.5
        story = f"{a}比{b}高，{b}比{c}高。"
        question = f"谁最{'高' if tallest else '矮'}？"
        answer = f"{a if tallest else c}最{'高' if tallest else '矮'}。"
    else:
        a, b, c = (n[0] for n in rng.sample(NAMES, 3))
        tallest = rng.random() < 0.5
        story = f"{a} is taller than {b}, and {b} is taller than {c}. "
        question = f"Who is the {'tallest' if tallest else 'shortest'}?"
        answer = f"{a if tallest else c} is the {'tallest' if tallest else 'shortest'}."
    return Turn(story + question, answer, ("taller", a, b, c, tallest))


# ---- translation ----


def _phrase(rng):
    """(content, English, Chinese) of a counted, coloured noun."""
    noun = rng.choice(THINGS + FOODS + ANIMALS)
    n = rng.randrange(1, 11)
    colour = rng.choice([None, *COLOURS])
    counted = "a" if n == 1 else NUMBERS[n]
    words = [colour] if colour else []
    words.append(noun.name if n == 1 else noun.plural)
    english = article(" ".join(words)) if n == 1 else " ".join([counted, *words])
    chinese = f"{counted_chinese(n)}{noun.measure}{COLOURS[colour] + '色的' if colour else ''}{noun.chinese}"
    return ("phrase", n, colour, noun.name), english, chinese


def _sentence(rng):
    """(content, English, Chinese) of somebody doing something."""
    action = rng.choice(ACTIONS)
    if rng.random() < 0.6:
        animal = rng.choice(ANIMALS)
        who, who_chinese = f"the {animal.name}", animal.chinese
    else:
        who, who_chinese = rng.choice(PEOPLE)
    return ("sentence", who, action[0]), f"{who[0].upper()}{who[1:]} {action[0]}.", f"{who_chinese}{action[1]}。"


@task(4)
def translation(rng, chinese):
    content, english, translated = _phrase(rng) if rng.random() < 0.6 else _sentence(rng)
    content = ("translation", *content)
    if chinese:
        bare = translated.removesuffix("。")
        if rng.random() < 0.5:
            question = rng.choice([f"“{bare}”用英语怎么说？", f"请把“{bare}”翻译成英语。"])
            return Turn(question, english, content, f"“{bare}”呢？")
        bare = english.removesuffix(".")
        question = rng.choice([f'"{bare}" 用中文怎么说？', f'请把 "{bare}" 翻译成中文。'])
        return Turn(question, translated, content, f'"{bare}" 呢？')
    if rng.random() < 0.75:
        bare = english.removesuffix(".")
        question = rng.choice([f'How do you say "{bare}" in Chinese?', f'Translate into Chinese: "{bare}"',
                               f'What is "{bare}" in Chinese?'])  # fmt: skip
        return Turn(question, translated, content, f'And "{bare}"?')
    bare = translated.removesuffix("。")
    question = rng.choice([f"What does “{bare}” mean?", f"How do you say “{bare}” in English?"])
    return Turn(question, english, content, f"And “{bare}”?")


@task(1)
def word_translation(rng, chinese):
    """Single words, which can only be learned."""
    noun = rng.choice(THINGS + FOODS + ANIMALS)
    if chinese:
        return Turn(
            f"“{noun.chinese}”用英语怎么说？", f"{noun.chinese}的英语是 {noun.name}。", None, f"“{noun.chinese}”呢？"
        )
    question = rng.choice([f'What is the Chinese word for "{noun.name}"?', f'How do you say "{noun.name}" in Chinese?'])
    return Turn(question, f"{noun.chinese}。", None, f'And "{noun.name}"?')
