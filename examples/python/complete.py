#!/usr/bin/env python3
"""Answers a request of OpenAI's interface: complete.py MODEL '{"messages": [{"role": "user", "content": "Hello!"}]}'"""

import json
import sys

from xverse import Model, XverseError


def main():
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} MODEL REQUEST")
    try:
        session = Model(sys.argv[1]).session()
        request = json.loads(sys.argv[2])
        if request.get("stream"):
            for chunk in session.stream_json(request):
                print(f"data: {json.dumps(chunk, ensure_ascii=False)}\n", flush=True)
            print("data: [DONE]\n")
        else:
            print(json.dumps(session.generate_json(request), ensure_ascii=False, indent=2))
    except XverseError as error:
        sys.exit(f"{error.name}: {error}")


if __name__ == "__main__":
    main()
