"""Animals, colours, capitals, opposites, days and months: true answers about the world."""

from .grammar import article
from .turn import Turn, task
from .words import (
    ANIMALS,
    COLOURS,
    COUNTRIES,
    DAYS,
    GROUPS,
    GROUPS_CHINESE,
    HOMES,
    MIXED_COLOURS,
    MONTHS,
    MONTHS_CHINESE,
    NAMES,
    NAMES_CHINESE,
    NOUNS_CHINESE,
    NOUNS_WITH,
    NUMBERS,
    NUMBERS_CHINESE,
    ONE_DIRECTION,
    OPPOSITES,
    SOUNDS,
    TYPICAL_COLOURS,
    YOUNG,
    counted_chinese,
)  # fmt: skip

# ---- legs ----


def legs_said(animal):
    return f"{NUMBERS[animal.legs] if animal.legs else 'no'} legs"


def legs_said_chinese(animal):
    return f"{NUMBERS_CHINESE[animal.legs]}条腿" if animal.legs else "没有腿"


def has_legs_chinese(animal):
    return f"一{animal.measure}{animal.chinese}{'有' if animal.legs else ''}{legs_said_chinese(animal)}"


@task(2)
def legs(rng, chinese):
    a = rng.choice(ANIMALS)
    if chinese:
        question = rng.choice([f"一{a.measure}{a.chinese}有几条腿？", f"{a.chinese}有几条腿？"])
        return Turn(question, f"{has_legs_chinese(a)}。", None, f"{a.chinese}呢？")
    question = rng.choice([f"How many legs does {article(a.name)} have?", f"How many legs do {a.plural} have?"])
    return Turn(question, f"{article(a.name).capitalize()} has {legs_said(a)}.", None, f"And {article(a.name)}?")


@task(4)
def legs_of_many(rng, chinese):
    a, n = rng.choice(ANIMALS), rng.randrange(2, 11)
    total = n * a.legs
    content = ("legs", n, a.name)
    if chinese:
        many = f"{counted_chinese(n)}{a.measure}{a.chinese}"
        answer = f"{many}有 {total} 条腿。" if total else f"{many}没有腿。"
        return Turn(rng.choice([f"{many}有几条腿？", f"{many}一共有多少条腿？"]), answer, content, f"{many}呢？")
    many = f"{NUMBERS[n]} {a.plural}"
    answer = f"{many.capitalize()} have {total or 'no'} legs."
    asked = many if rng.random() < 0.7 else f"{n} {a.plural}"
    question = rng.choice([f"How many legs do {asked} have?", f"How many legs do {asked} have together?"])
    return Turn(question, answer, content, f"And {asked}?")


@task(3)
def legs_together(rng, chinese):
    a, b = rng.sample(ANIMALS, 2)
    total = a.legs + b.legs
    content = ("legs together", *sorted((a.name, b.name)))
    if chinese:
        both = f"一{a.measure}{a.chinese}和一{b.measure}{b.chinese}"
        answer = f"{has_legs_chinese(a)}，{has_legs_chinese(b)}。一共{f'有 {total} 条腿' if total else '没有腿'}。"
        return Turn(f"{both}一共有几条腿？", answer, content, f"{both}呢？")
    both = f"{article(a.name)} and {article(b.name)}"
    first, second = article(a.name).capitalize(), article(b.name)
    answer = f"{first} has {legs_said(a)} and {second} has {legs_said(b)}. Together they have {total or 'no'} legs."
    return Turn(f"How many legs do {both} have together?", answer, content, f"And {both}?")


@task(3)
def more_legs(rng, chinese):
    a, b = rng.sample(ANIMALS, 2)
    content = ("more legs", *sorted((a.name, b.name)))
    more, fewer = (a, b) if a.legs > b.legs else (b, a)
    if chinese:
        answer = (
            f"{more.chinese}的腿比{fewer.chinese}多。" if a.legs != b.legs else f"{a.chinese}和{b.chinese}的腿一样多。"
        )
        return Turn(f"{a.chinese}和{b.chinese}，谁的腿多？", answer, content, f"{a.chinese}和{b.chinese}呢？")
    first, second = article(a.name), article(b.name)
    if a.legs == b.legs:
        answer = f"{first.capitalize()} and {second} have the same number of legs."
    else:
        answer = f"{article(more.name).capitalize()} has more legs than {article(fewer.name)}."
    return Turn(f"Which has more legs, {first} or {second}?", answer, content, f"And {first} or {second}?")


@task(4)
def bigger_animal(rng, chinese):
    while True:
        a, b = rng.sample(ANIMALS, 2)
        if max(a.weight, b.weight) >= 5 * min(a.weight, b.weight):
            break
    content = ("bigger animal", *sorted((a.name, b.name)))
    big, small = (a, b) if a.weight > b.weight else (b, a)
    if chinese:
        question = rng.choice([f"{a.chinese}和{b.chinese}，哪个大？", f"{a.chinese}大还是{b.chinese}大？"])
        return Turn(question, f"{big.chinese}比{small.chinese}大。", content, f"{a.chinese}和{b.chinese}呢？")
    first, second = article(a.name), article(b.name)
    answer = f"{article(big.name).capitalize()} is bigger than {article(small.name)}."
    return Turn(f"Which is bigger, {first} or {second}?", answer, content, f"And {first} or {second}?")


# ---- what animals do ----


@task(0.7)
def animal_sound(rng, chinese):
    name, name_chinese, sound, sound_chinese = rng.choice(SOUNDS)
    if chinese:
        return Turn(f"{name_chinese}怎么叫？", f"{name_chinese}叫“{sound_chinese}”。", None, f"{name_chinese}呢？")
    question = rng.choice([f"What does {article(name)} say?", f"What sound does {article(name)} make?"])
    return Turn(question, f'{article(name).capitalize()} says "{sound}".', None, f"And {article(name)}?")


@task(0.5)
def young_animal(rng, chinese):
    name, young = rng.choice(YOUNG)
    return Turn(f"What is a baby {name} called?", f"A baby {name} is called {young}.", None, f"And a baby {name}?")


@task(0.5)
def animal_home(rng, chinese):
    name, name_chinese, place, place_chinese = rng.choice(HOMES)
    if chinese:
        return Turn(f"{name_chinese}住在哪里？", f"{name_chinese}住在{place_chinese}。", None, f"{name_chinese}呢？")
    return Turn(f"Where does {name} live?", f"{name.capitalize()} lives {place}.", None, f"And {name}?")


@task(3)
def odd_one_out(rng, chinese):
    group, other = rng.sample(list(GROUPS), 2)
    members = rng.sample(GROUPS[group], 2)
    stranger = rng.choice(GROUPS[other])
    three = [*members, stranger]
    content = ("odd one out", *sorted(item[0] for item in three))
    rng.shuffle(three)
    if chinese:
        kind = GROUPS_CHINESE[group]
        given = "、".join(item[1] for item in three)
        return Turn(f"{given}，哪个不是{kind}？", f"{stranger[1]}不是{kind}。", content)
    given = f"{three[0][0]}, {three[1][0]} or {three[2][0]}"
    return Turn(f"Which one is not {article(group)}: {given}?", f"The {stranger[0]} is not {article(group)}.", content)


@task(1)
def kind_of_thing(rng, chinese):
    group = rng.choice(list(GROUPS))
    name, name_chinese = rng.choice(GROUPS[group])
    if chinese:
        return Turn(
            f"{name_chinese}是什么？", f"{name_chinese}是一种{GROUPS_CHINESE[group]}。", None, f"{name_chinese}呢？"
        )
    return Turn(
        f"What is {article(name)}?", f"{article(name).capitalize()} is {article(group)}.", None, f"And {article(name)}?"
    )


# ---- colours ----


@task(1)
def typical_colour(rng, chinese):
    name, name_chinese, colour = rng.choice(TYPICAL_COLOURS)
    if chinese:
        return Turn(
            f"{name_chinese}是什么颜色的？", f"{name_chinese}是{COLOURS[colour]}色的。", None, f"{name_chinese}呢？"
        )
    question = rng.choice([f"What colour is {name}?", f"What color is {name}?"])
    return Turn(question, f"{name.capitalize()} is {colour}.", None, f"And {name}?")


@task(0.5)
def mixed_colour(rng, chinese):
    first, second, result = rng.choice(MIXED_COLOURS)
    if rng.random() < 0.5:
        first, second = second, first
    if chinese:
        mixed = f"{COLOURS[first]}色和{COLOURS[second]}色"
        return Turn(f"{mixed}混在一起是什么颜色？", f"{mixed}混在一起是{COLOURS[result]}色。", None, f"{mixed}呢？")
    mixed = f"{first} and {second}"
    return Turn(
        f"What colour do you get when you mix {mixed}?", f"{mixed.capitalize()} make {result}.", None, f"And {mixed}?"
    )


# ---- opposites ----


@task(2)
def opposite(rng, chinese):
    first, second, first_chinese, second_chinese = rng.choice(OPPOSITES)
    if rng.random() < 0.5 and (first, second) not in ONE_DIRECTION:
        first, second, first_chinese, second_chinese = second, first, second_chinese, first_chinese
    if chinese:
        question = rng.choice([f"“{first_chinese}”的反义词是什么？", f"{first_chinese}的反义词是什么？"])
        return Turn(question, f"“{first_chinese}”的反义词是“{second_chinese}”。", None, f"“{first_chinese}”呢？")
    question = rng.choice([f"What is the opposite of {first}?", f'What is the opposite of "{first}"?'])
    return Turn(question, f"The opposite of {first} is {second}.", None, f"And of {first}?")


@task(4)
def opposite_phrase(rng, chinese):
    pairs = [o for o in OPPOSITES if o[0] in (NOUNS_CHINESE if chinese else NOUNS_WITH) and o[:2] != ("young", "old")]
    first, second, first_chinese, second_chinese = rng.choice(pairs)
    i = rng.randrange(len((NOUNS_CHINESE if chinese else NOUNS_WITH)[first].split()))
    content = ("opposite phrase", first, i, chinese)
    if rng.random() < 0.5 and (first, second) not in ONE_DIRECTION:
        swapped = True
    else:
        swapped = False
    if chinese:
        noun = NOUNS_CHINESE[first].split()[i]
        one, other = (second_chinese, first_chinese) if swapped else (first_chinese, second_chinese)
        return Turn(f"“{one}的{noun}”反过来怎么说？", f"{other}的{noun}。", content, f"“{one}的{noun}”呢？")
    noun = NOUNS_WITH[first].split()[i]
    one, other = (second, first) if swapped else (first, second)
    question = f"What is the opposite of {article(one)} {noun}?"
    answer = f"The opposite of {article(one)} {noun} is {article(other)} {noun}."
    return Turn(question, answer, content, f"And of {article(one)} {noun}?")


# ---- capitals ----


@task(2)
def capital(rng, chinese):
    country, country_chinese, city, city_chinese = rng.choice(COUNTRIES)
    if chinese:
        question = rng.choice([f"{country_chinese}的首都是哪里？", f"{country_chinese}的首都是什么？"])
        return Turn(question, f"{country_chinese}的首都是{city_chinese}。", None, f"{country_chinese}呢？")
    question = rng.choice([f"What is the capital of {country}?", f"Which city is the capital of {country}?"])
    return Turn(question, f"The capital of {country} is {city}.", None, f"And of {country}?")


@task(1)
def country_of_capital(rng, chinese):
    country, country_chinese, city, city_chinese = rng.choice(COUNTRIES)
    if chinese:
        return Turn(
            f"{city_chinese}是哪个国家的首都？",
            f"{city_chinese}是{country_chinese}的首都。",
            None,
            f"{city_chinese}呢？",
        )
    question = rng.choice([f"{city} is the capital of which country?", f"Of which country is {city} the capital?"])
    return Turn(question, f"{city} is the capital of {country}.", None, f"And {city}?")


@task(3)
def is_it_the_capital(rng, chinese):
    country, other = rng.sample(COUNTRIES, 2)
    if rng.random() < 0.4:
        other = country
    # A question whose answer is yes only repeats a fact that was learned, so only the others can be in the test.
    content = None if other is country else ("is capital", country[2], other[0])
    if chinese:
        question = f"{country[3]}是{other[1]}的首都吗？"
        answer = f"是的，{country[3]}是{other[1]}的首都。"
        if other is not country:
            answer = f"不是，{country[3]}是{country[1]}的首都，{other[1]}的首都是{other[3]}。"
        return Turn(question, answer, content, f"{country[3]}是{other[1]}的首都吗？")
    answer = f"Yes, {country[2]} is the capital of {other[0]}."
    if other is not country:
        answer = f"No, {country[2]} is the capital of {country[0]}. The capital of {other[0]} is {other[2]}."
    return Turn(
        f"Is {country[2]} the capital of {other[0]}?",
        answer,
        content,
        f"And is {country[2]} the capital of {other[0]}?",
    )


@task(1)
def lives_in_country(rng, chinese):
    country, country_chinese, city, city_chinese = rng.choice(COUNTRIES)
    if chinese:
        name = rng.choice(NAMES_CHINESE)
        return Turn(
            f"{name}住在{city_chinese}。{name}住在哪个国家？",
            f"{name}住在{country_chinese}。",
            ("lives in", name, city),
        )
    name = rng.choice(NAMES)[0]
    question = f"{name} lives in {city}. In which country does {name} live?"
    return Turn(question, f"{name} lives in {country}.", ("lives in", name, city))


# ---- days and months ----


@task(0.7)
def neighbouring_day(rng, chinese):
    i, after = rng.randrange(7), rng.random() < 0.5
    other = DAYS[(i + (1 if after else -1)) % 7]
    if chinese:
        if rng.random() < 0.4:
            day = "明天" if after else "昨天"
            return Turn(f"今天是{DAYS[i][1]}，{day}是星期几？", f"{day}是{other[1]}。")
        word = "后" if after else "前"
        return Turn(
            f"{DAYS[i][1]}的{word}一天是星期几？",
            f"{DAYS[i][1]}的{word}一天是{other[1]}。",
            None,
            f"{DAYS[i][1]}呢？",
            word,
        )
    if rng.random() < 0.4:
        word = "tomorrow" if after else "yesterday"
        answer = f"Tomorrow is {other[0]}." if after else f"Yesterday was {other[0]}."
        return Turn(f"Today is {DAYS[i][0]}. What day {'is' if after else 'was'} {word}?", answer)
    word = "after" if after else "before"
    return Turn(
        f"What day comes {word} {DAYS[i][0]}?",
        f"{other[0]} comes {word} {DAYS[i][0]}.",
        None,
        f"And {word} {DAYS[i][0]}?",
    )


@task(3)
def days_later(rng, chinese):
    """Counted out one by one, as a child does it."""
    i, offset, after = rng.randrange(7), rng.randrange(2, 11), rng.random() < 0.6
    content = ("days", i, offset if after else -offset)
    counted = [DAYS[(i + (k if after else -k)) % 7] for k in range(1, offset + 1)]
    if chinese:
        then = f"{DAYS[i][1]}的{counted_chinese(offset)}天{'后' if after else '前'}"
        shown = "、".join(f"{k} {day[1]}" for k, day in enumerate(counted, 1))
        return Turn(f"{then}是星期几？", f"{shown}。{then}是{counted[-1][1]}。", content, f"{then}呢？")
    shown = ", ".join(f"{k} {day[0]}" for k, day in enumerate(counted, 1))
    if after and rng.random() < 0.3:
        question = rng.choice([f"Today is {DAYS[i][0]}. What day is it in {NUMBERS[offset]} days?",
                               f"If today is {DAYS[i][0]}, what day is it in {NUMBERS[offset]} days?"])  # fmt: skip
        return Turn(question, f"{shown}. In {NUMBERS[offset]} days it is {counted[-1][0]}.", content)
    then = f"{NUMBERS[offset]} days {'after' if after else 'before'} {DAYS[i][0]}"
    question = rng.choice([f"What day is {then}?", f"What day is it {then}?"])
    return Turn(question, f"{shown}. {then[0].upper()}{then[1:]} is {counted[-1][0]}.", content, f"And {then}?")


@task(0.7)
def neighbouring_month(rng, chinese):
    i, after = rng.randrange(12), rng.random() < 0.5
    j = (i + (1 if after else -1)) % 12
    if chinese:
        word = "后" if after else "前"
        return Turn(f"{MONTHS_CHINESE[i]}的{word}一个月是几月？", f"{MONTHS_CHINESE[i]}的{word}一个月是{MONTHS_CHINESE[j]}。", None,
                    f"{MONTHS_CHINESE[i]}呢？", word)  # fmt: skip
    word = "after" if after else "before"
    question = rng.choice([f"What month comes {word} {MONTHS[i]}?", f"Which month comes {word} {MONTHS[i]}?"])
    return Turn(question, f"{MONTHS[j]} comes {word} {MONTHS[i]}.", None, f"And {word} {MONTHS[i]}?")


@task(3)
def months_later(rng, chinese):
    i, offset, after = rng.randrange(12), rng.randrange(2, 11), rng.random() < 0.6
    content = ("months", i, offset if after else -offset)
    counted = [(i + (k if after else -k)) % 12 for k in range(1, offset + 1)]
    if chinese:
        then = f"{MONTHS_CHINESE[i]}的{counted_chinese(offset)}个月{'后' if after else '前'}"
        shown = "、".join(f"{k} {MONTHS_CHINESE[j]}" for k, j in enumerate(counted, 1))
        return Turn(f"{then}是几月？", f"{shown}。{then}是{MONTHS_CHINESE[counted[-1]]}。", content, f"{then}呢？")
    shown = ", ".join(f"{k} {MONTHS[j]}" for k, j in enumerate(counted, 1))
    then = f"{NUMBERS[offset]} months {'after' if after else 'before'} {MONTHS[i]}"
    return Turn(
        f"What month is {then}?",
        f"{shown}. {then[0].upper()}{then[1:]} is {MONTHS[counted[-1]]}.",
        content,
        f"And {then}?",
    )


@task(0.7)
def how_many_days(rng, chinese):
    questions = [
        ("How many days are in a week?", "A week has seven days.", "一个星期有几天？", "一个星期有七天。"),
        ("How many months are in a year?", "A year has twelve months.", "一年有几个月？", "一年有十二个月。"),
        ("How many hours are in a day?", "A day has 24 hours.", "一天有几个小时？", "一天有二十四个小时。"),
        ("How many minutes are in an hour?", "An hour has 60 minutes.", "一个小时有几分钟？", "一个小时有六十分钟。"),
        ("How many seasons are in a year?", "A year has four seasons.", "一年有几个季节？", "一年有四个季节。"),
        ("What are the four seasons?", "Spring, summer, autumn and winter.", "四季是哪四季？", "春天、夏天、秋天和冬天。"),
        ("What are the days of the week?", "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.",
         "一个星期有哪几天？", "星期一、星期二、星期三、星期四、星期五、星期六和星期日。"),
        ("What is the first month of the year?", "The first month of the year is January.", "一年的第一个月是几月？",
         "一年的第一个月是一月。"),
        ("What is the last month of the year?", "The last month of the year is December.", "一年的最后一个月是几月？",
         "一年的最后一个月是十二月。"),
    ]  # fmt: skip
    q = rng.choice(questions)
    return Turn(*(q[2:] if chinese else q[:2]))
