"""In place of the embedding model: a vector that depends on the text only, over the same lines."""

import base64
import hashlib
import json
import sys

print("{}", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    vectors = [base64.b64encode(hashlib.sha256(text.encode()).digest() * 2).decode() for text in asked["texts"]]
    print(json.dumps({"id": asked["id"], "vectors": vectors, "tokens": len(vectors)}), flush=True)
