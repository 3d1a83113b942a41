# SPDX-License-Identifier: Apache-2.0
"""What one would write in Python: an ASGI app that streams an upstream's events to whoever asks, for comparison.

GET /stream/NAME is a stream of events; the first one for a name opens the upstream, which all others share, as they do
in the module. Nothing else: no database, no tokens, no ids, no way to come back.
"""
import asyncio
import json
import os

UPSTREAM = int(os.environ["UPSTREAM_PORT"])
SECONDS = os.environ["UPSTREAM_SECONDS"]
readers = {}  # name -> queues
tasks = set()  # asyncio itself does not hold on to them


async def follow(name):
    reader, writer = await asyncio.open_connection("127.0.0.1", UPSTREAM)
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "for=" + SECONDS}]}]}).encode()
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    async for line in reader:
        if line.startswith(b"data: "):
            text = json.loads(line[6:])["candidates"][0]["content"]["parts"][0]["text"]
            event = b'event: delta\ndata: {"text":' + json.dumps(text).encode() + b"}\n\n"
            for queue in readers[name]:
                queue.put_nowait(event)
            if text == "end":
                break
    for queue in readers.pop(name):
        queue.put_nowait(None)
    writer.close()


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    name = scope["path"]
    queue = asyncio.Queue()
    if name not in readers:
        readers[name] = set()
        tasks.add(asyncio.create_task(follow(name)))
    readers[name].add(queue)
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while (event := await queue.get()) is not None:
        await send({"type": "http.response.body", "body": event, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
