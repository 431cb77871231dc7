"""The text that the demonstration model learns from: generated, in English and Chinese, with true answers."""
