"""An HTTP server with OpenAI's interface: `xverse-server MODEL`, or `python -m xverse.server MODEL`.

It needs the extra: pip install "libxverse[server]". docs/serving.md describes it.
"""
