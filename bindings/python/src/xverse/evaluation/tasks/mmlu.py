"""MMLU: 57 subjects in English, four options."""

from __future__ import annotations

from pathlib import Path

from ..data import DataError, csv_rows, find, letter
from ..question import Protocol, Question, Task
from .choices import fixed, options_text, spaced, subjects

PUBLISHED = "https://people.eecs.berkeley.edu/~hendrycks/data.tar (MIT)"

CATEGORIES = {
    "STEM": """
        abstract_algebra astronomy college_biology college_chemistry college_computer_science college_mathematics
        college_physics computer_security conceptual_physics electrical_engineering elementary_mathematics
        high_school_biology high_school_chemistry high_school_computer_science high_school_mathematics
        high_school_physics high_school_statistics machine_learning""".split(),
    "humanities": """
        formal_logic high_school_european_history high_school_us_history high_school_world_history international_law
        jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory professional_law
        world_religions""".split(),
    "social sciences": """
        econometrics high_school_geography high_school_government_and_politics high_school_macroeconomics
        high_school_microeconomics high_school_psychology human_sexuality professional_psychology public_relations
        security_studies sociology us_foreign_policy""".split(),
    "other (business, health, misc.)": """
        anatomy business_ethics clinical_knowledge college_medicine global_facts human_aging management marketing
        medical_genetics miscellaneous nutrition professional_accounting professional_medicine virology""".split(),
}


def load(folder: Path, protocol: Protocol, shots: int) -> list[Question]:
    dev = find(folder, ["dev", "data/dev"], PUBLISHED)
    test = find(folder, ["test", "data/test"], PUBLISHED)
    questions = []
    for subject in subjects(test, "_test.csv"):
        # Two blanks: the header ends with one, and each word of the subject begins with one.
        head = f"The following are multiple choice questions (with answers) about  {subject.replace('_', ' ')}.\n\n"
        solved = []
        for line, row in csv_rows(find(dev, [f"{subject}_dev.csv"], PUBLISHED), 6):
            answer = letter(dev / f"{subject}_dev.csv", line, row[5], 4)
            solved.append(f"{block(row)} {answer}\n\n")
        if len(solved) < shots:
            raise DataError(dev / f"{subject}_dev.csv", None, f"{len(solved)} rows, expected {shots} for the shots")
        categories = tuple(name for name, members in CATEGORIES.items() if subject in members)
        path = test / f"{subject}_test.csv"
        for number, (line, row) in enumerate(csv_rows(path, 6)):
            questions.append(
                Question(
                    id=f"mmlu/{subject}/{number}",
                    subject=subject,
                    categories=categories,
                    head=head,
                    shots=tuple(solved[:shots]),
                    item=fixed(block(row)),
                    candidates=spaced(4),
                    gold=letter(path, line, row[5], 4),
                )
            )
    return questions


def block(row: list[str]) -> str:
    return f"{row[0]}{options_text(row[1:5])}\nAnswer:"


TASK = Task(
    name="mmlu",
    title="MMLU",
    published=PUBLISHED,
    protocols=(Protocol("official", "hendrycks/test: next-token log-probability of ' A' to ' D'", "loglikelihood", 5),),
    load=load,
    average="categories",
)
