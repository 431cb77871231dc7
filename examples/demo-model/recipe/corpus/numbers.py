"""Sums, differences, comparisons, order, clocks."""

from .turn import Turn, task
from .words import FOODS, NAMES, NAMES_CHINESE


@task(10)
def sums(rng, chinese):
    a, b = rng.randrange(100), rng.randrange(100)
    if rng.random() < 0.15:
        a, b = rng.randrange(13), rng.randrange(13)
    content = ("sum", min(a, b), max(a, b))
    if chinese:
        question = rng.choice(
            [f"{a} 加 {b} 等于多少？", f"{a} + {b} 等于几？", f"{a} + {b} = ？", f"请算一算：{a} 加 {b}。"]
        )
        return Turn(question, f"{a} + {b} = {a + b}。", content, rng.choice([f"{a} 加 {b} 呢？", f"那 {a} + {b} 呢？"]))
    question = rng.choice([f"What is {a} + {b}?", f"How much is {a} plus {b}?", f"{a} + {b} = ?", f"Can you add {a} and {b}?",
                           f"What is {a} plus {b}?", f"{a}+{b}"])  # fmt: skip
    return Turn(question, f"{a} + {b} = {a + b}.", content, rng.choice([f"And {a} + {b}?", f"And {a} plus {b}?"]))


@task(7)
def differences(rng, chinese):
    a, b = sorted((rng.randrange(100), rng.randrange(100)), reverse=True)
    content = ("difference", a, b)
    if chinese:
        question = rng.choice([f"{a} 减 {b} 等于多少？", f"{a} - {b} 等于几？", f"{a} - {b} = ？"])
        return Turn(question, f"{a} - {b} = {a - b}。", content, f"{a} 减 {b} 呢？")
    question = rng.choice(
        [f"What is {a} - {b}?", f"How much is {a} minus {b}?", f"{a} - {b} = ?", f"What is {a} minus {b}?"]
    )
    return Turn(question, f"{a} - {b} = {a - b}.", content, rng.choice([f"And {a} - {b}?", f"And {a} minus {b}?"]))


@task(1)
def times_table(rng, chinese):
    """Up to 10 x 10 and learned by heart, as in school: there is nothing to hold out."""
    a, b = rng.randrange(1, 11), rng.randrange(1, 11)
    if chinese:
        question = rng.choice([f"{a} 乘 {b} 等于多少？", f"{a} x {b} 等于几？"])
        return Turn(question, f"{a} x {b} = {a * b}。", None, f"{a} 乘 {b} 呢？")
    question = rng.choice([f"What is {a} times {b}?", f"What is {a} x {b}?", f"How much is {a} times {b}?"])
    return Turn(question, f"{a} x {b} = {a * b}.", None, f"And {a} times {b}?")


@task(3)
def larger_number(rng, chinese):
    """Of three digits, so that the orders of number_order tell nothing about them."""
    a, b = rng.sample(range(100, 1000), 2)
    low, high = sorted((a, b))
    content = ("larger number", low, high)
    if chinese:
        return Turn(f"{a} 和 {b}，哪个大？", f"{high} 比 {low} 大。", content, f"{a} 和 {b} 呢？")
    question = rng.choice([f"Which is bigger, {a} or {b}?", f"Which number is larger, {a} or {b}?"])
    return Turn(question, f"{high} is bigger than {low}.", content, f"And {a} or {b}?")


@task(2)
def even_or_odd(rng, chinese):
    n = rng.randrange(1000)
    content = ("even or odd", n)
    if chinese:
        return Turn(f"{n} 是双数还是单数？", f"{n} 是{'单' if n % 2 else '双'}数。", content, f"{n} 呢？")
    return Turn(f"Is {n} even or odd?", f"{n} is {'odd' if n % 2 else 'even'}.", content, f"And {n}?")


@task(2)
def next_number(rng, chinese):
    """Of three digits, so that counting tells nothing about them."""
    n, after = rng.randrange(101, 999), rng.random() < 0.6
    content = ("next number" if after else "number before", n)
    answer = n + 1 if after else n - 1
    if chinese:
        return Turn(
            f"{n} {'后面' if after else '前面'}是几？",
            f"{n} {'后面' if after else '前面'}是 {answer}。",
            content,
            f"{n} 呢？",
            str(after),
        )
    word = "after" if after else "before"
    question = rng.choice([f"What number comes {word} {n}?", f"Which number is {word} {n}?"])
    return Turn(question, f"{answer} comes {word} {n}.", content, f"And {word} {n}?")


@task(4)
def number_order(rng, chinese):
    numbers = rng.sample(range(1, 100), 3 if rng.random() < 0.7 else 4)
    content = ("order", *sorted(numbers))
    # Plain digits, without words between them, so that both languages are alike.
    given, answer = (", ".join(map(str, n)) for n in (numbers, sorted(numbers)))
    if chinese:
        return Turn(f"请从小到大排列：{given}", f"{answer}。", content, f"{given} 呢？")
    question = rng.choice([f"Put these numbers in order: {given}.", f"Sort these numbers: {given}."])
    return Turn(question, f"{answer}.", content, f"And {given}?")


@task(3)
def clock(rng, chinese):
    hour, later = rng.randrange(1, 13), rng.randrange(1, 12)
    content = ("clock", hour, later)
    total = hour + later
    steps = [("sum", min(hour, later), max(hour, later))]
    shown = [f"{hour} + {later} = {total}"]
    if total > 12:
        steps.append(("difference", total, 12))
        shown.append(f"{total} - 12 = {total - 12}")
    answer = (total - 1) % 12 + 1
    if chinese:
        return Turn(f"现在是 {hour} 点，{later} 个小时以后是几点？", f"{'，'.join(shown)}。{later} 个小时以后是 {answer} 点。", content,
                    f"如果现在是 {hour} 点，{later} 个小时以后呢？", steps=tuple(steps))  # fmt: skip
    hours = "hour" if later == 1 else "hours"
    question = rng.choice([f"It is {hour} o'clock. What time will it be in {later} {hours}?",
                           f"It is {hour} o'clock now. What time is it {later} {hours} later?"])  # fmt: skip
    return Turn(question, f"{', '.join(shown)}. In {later} {hours} it will be {answer} o'clock.", content,
                f"And if it is {hour} o'clock, what time will it be in {later} {hours}?", steps=tuple(steps))  # fmt: skip


@task(5)
def word_problem(rng, chinese):
    """A sum or difference with a story around it: its content is that of the bare one."""
    food = rng.choice(FOODS)
    taken = rng.random() < 0.5
    a = rng.randrange(2, 51)
    b = rng.randrange(1, a) if taken else rng.randrange(1, 50)
    left = a - b if taken else a + b
    step = f"{a} {'-' if taken else '+'} {b} = {left}"
    content = ("difference", a, b) if taken else ("sum", min(a, b), max(a, b))
    if chinese:
        name = rng.choice(NAMES_CHINESE)
        verb = rng.choice(["吃了", "送给朋友", "用掉了"] if taken else ["又买了", "又得到了", "又找到了"])
        question = f"{name}有 {a} {food.measure}{food.chinese}，{verb} {b} {food.measure}。现在有几{food.measure}？"
        return Turn(question, f"{step}。{name}现在有 {left} {food.measure}{food.chinese}。", content)
    name, pronoun, _ = rng.choice(NAMES)
    verb = rng.choice(["eats", "gives away", "loses"] if taken else ["finds", "buys", "gets"])
    more = f"{b}" if taken else f"{b} more"
    question = f"{name} has {a} {food.plural}. {pronoun.capitalize()} {verb} {more}. How many {food.plural} does {name} have now?"
    return Turn(question, f"{step}. {name} has {left} {food.name if left == 1 else food.plural} now.", content)


@task(3)
def counting(rng, chinese):
    start, length = rng.randrange(1, 90), rng.randrange(3, 11)
    numbers = [str(start + i) for i in range(length)]
    content = ("counting", start, length)
    if chinese:
        return Turn(f"请从 {numbers[0]} 数到 {numbers[-1]}。", "、".join(numbers) + "。", content)
    return Turn(f"Count from {numbers[0]} to {numbers[-1]}.", ", ".join(numbers) + ".", content)
