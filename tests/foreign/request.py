"""One HTTP request of a client that knows only the URL of the endpoint.

Reads one JSON object from standard input: {"url", "method", "headers", "body"}, the body as text. Writes {"status",
"headers", "body"}, with the names of the headers in lower case.
"""

import json
import sys
import urllib.error
import urllib.request


def main():
    given = json.load(sys.stdin)
    body = given["body"].encode() if given["body"] is not None else None
    request = urllib.request.Request(given["url"], data=body, headers=given["headers"], method=given["method"])
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        json.dump({"status": answer.status, "headers": headers, "body": answer.read().decode()}, sys.stdout)


main()
