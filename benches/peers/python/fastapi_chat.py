"""The chat on FastAPI and uvicorn in its usual form: a manager that awaits each socket in turn.

Not a product: no limits, no history.
"""

import argparse
from datetime import datetime

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8000)
parser.add_argument("--announce", choices=["on", "off"], default="on")
options = parser.parse_args()


class Manager:
    def __init__(self):
        self.members: dict[WebSocket, str] = {}
        self.last_id = 0

    async def broadcast(self, event: dict, author: WebSocket | None = None):
        for member in list(self.members):
            if member is not author:
                try:
                    await member.send_json(event)
                except Exception:  # it is closing: its own task removes it
                    pass


app = FastAPI()
manager = Manager()


@app.websocket("/ws")
async def chat(socket: WebSocket, username: str):
    await socket.accept()
    await socket.send_json({"type": "system", "message": f"Welcome to the chat, {username}!"})
    manager.members[socket] = username
    count = {"type": "user_count", "count": len(manager.members)}
    if options.announce == "on":
        await manager.broadcast({"type": "system", "message": f"{username} joined the chat"}, socket)
        await manager.broadcast(count)
    else:
        await socket.send_json(count)
    try:
        while True:
            request = await socket.receive_json()
            manager.last_id += 1
            event = {
                "type": "message",
                "sender": username,
                "message": request["message"],
                "timestamp": datetime.now().strftime("%Y-%m-%d %H:%M:%S"),
                "id": manager.last_id,
            }
            await manager.broadcast(event, socket)
    except WebSocketDisconnect:
        pass
    finally:
        manager.members.pop(socket, None)
        if options.announce == "on":
            await manager.broadcast({"type": "system", "message": f"{username} left the chat"})
            await manager.broadcast({"type": "user_count", "count": len(manager.members)})


if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=options.port, loop="uvloop", http="httptools",
        log_level="error", ws_per_message_deflate=False, backlog=2048,
    )
