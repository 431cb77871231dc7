#!/usr/bin/env python3
"""Asks the demonstration model questions whose contents were held out of its training, through libxverse's C interface.

    evaluate.py DIRECTORY [--questions N] [--seed N] [--check-disjoint [DOCUMENTS]] [--show]

An answer counts when it equals the true one character by character. --check-disjoint generates the training corpus of
train.py once more, all of it or that many documents, and looks that neither the content nor the words of any question
occur in it.
XVERSE_LIBRARY is the path of libxverse.so.1 where it is not installed. Exit status 1: less than 90 % are right.
"""

import argparse
import os
import random
import sys
from collections import defaultdict

from corpus.conversations import document
from corpus.examination import examination
from corpus.split import held_out

sys.path.insert(
    0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "bindings", "python", "src")
)

PASS = 0.90
TRAINING_SEED, TRAINING_DOCUMENTS = 2, 350_000


def check_disjoint(asked, documents):
    """Ends the program when a question, or its content, occurs in the training corpus."""
    contents = {turns[-1].content for _, turns in asked}
    texts = {turns[-1].question for _, turns in asked if len(turns) == 1}  # a follow-up alone asks nothing
    assert all(held_out(content) for content in contents)
    rng = random.Random(TRAINING_SEED)
    turns_seen = 0
    for _ in range(documents):
        made = document(rng)
        if isinstance(made, str):
            continue
        for turn in made:
            turns_seen += 1
            if turn.question in texts or not contents.isdisjoint((turn.content, *turn.steps)):
                sys.exit(f"evaluate: this question is in the training corpus: {turn.question}")
    print(f"{len(contents)} contents and {len(texts)} wordings: none of them in the {turns_seen:,} turns of training")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory")
    parser.add_argument("--questions", type=int, default=460)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--check-disjoint", type=int, metavar="DOCUMENTS", nargs="?", default=0, const=TRAINING_DOCUMENTS
    )
    parser.add_argument("--show", action="store_true", help="print every question, not only those answered wrong")
    arguments = parser.parse_args()
    from xverse import Model

    asked = list(examination(random.Random(arguments.seed), arguments.questions))
    if arguments.check_disjoint:
        check_disjoint(asked, arguments.check_disjoint)

    session = Model(arguments.directory).session()
    right = defaultdict(list)
    for task, turns in asked:
        messages = []
        for turn in turns[:-1]:
            messages += [("user", turn.question), ("assistant", turn.answer)]
        question, truth = turns[-1].question, turns[-1].answer
        answer = session.generate([*messages, ("user", question)], do_sample=0, max_new_tokens=120).text
        right[task].append(answer == truth)
        if arguments.show or answer != truth:
            mark = "right" if answer == truth else "WRONG"
            print(f"{mark} {task}: {' / '.join(t.question for t in turns)}\n      {answer}" +
                  ("" if answer == truth else f"\n      expected {truth}"))  # fmt: skip
    print()
    for task, results in right.items():
        print(f"{task:20} {sum(results):3} of {len(results)}")
    total = [result for results in right.values() for result in results]
    share = sum(total) / len(total)
    print(f"{'all':20} {sum(total):3} of {len(total)}: {share:.1%} exact")
    return 0 if share >= PASS else 1


if __name__ == "__main__":
    sys.exit(main())
