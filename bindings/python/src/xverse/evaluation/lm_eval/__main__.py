"""python -m xverse.evaluation.lm_eval: the command lm_eval, which then knows "xverse"."""

from lm_eval.__main__ import cli_evaluate

if __name__ == "__main__":
    cli_evaluate()
