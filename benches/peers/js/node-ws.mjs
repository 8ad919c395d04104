// The chat on Node's `ws` package. As usual: one send per message and client. With --tuned: each
// frame is built once, and every client gets one write per turn of the event loop.
// Not a product: no limits, no history.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { Sender, WebSocketServer } from 'ws';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '8000' },
    announce: { type: 'string', default: 'on' },
    tuned: { type: 'boolean', default: false },
  },
});
const announces = options.announce === 'on';
const members = new Set();
let lastId = 0;
let batch = []; // { frame, author } of this turn, in order

function timestamp() {
  return new Date().toISOString().slice(0, 19).replace('T', ' ');
}

let stamp = timestamp();
setInterval(() => { stamp = timestamp(); }, 1000).unref();

function broadcast(text, author) {
  if (!options.tuned) {
    for (const member of members) if (member !== author) member.send(text);
    return;
  }
  if (batch.length === 0) setImmediate(flush);
  const [head, body] = Sender.frame(Buffer.from(text), { fin: true, opcode: 1, mask: false, readOnly: false, rsv1: false });
  batch.push({ frame: body ? Buffer.concat([head, body]) : head, author });
}

function flush() {
  if (batch.length === 0) return;
  const sent = batch;
  batch = [];
  const whole = Buffer.concat(sent.map((entry) => entry.frame));
  const authors = new Set(sent.map((entry) => entry.author));
  for (const member of members) {
    if (!authors.has(member)) {
      member._socket.write(whole);
    } else {
      const others = sent.filter((entry) => entry.author !== member);
      if (others.length > 0) member._socket.write(Buffer.concat(others.map((entry) => entry.frame)));
    }
  }
}

const server = createServer((request, response) => response.writeHead(404).end());
const sockets = new WebSocketServer({ server, path: '/ws', perMessageDeflate: false, skipUTF8Validation: false });

sockets.on('connection', (member, request) => {
  const name = new URL(request.url, 'http://localhost').searchParams.get('username') ?? 'nobody';
  flush(); // a joiner gets nothing that was posted before it came
  if (announces) broadcast(JSON.stringify({ type: 'system', message: `${name} joined the chat` }), member);
  flush();
  members.add(member);
  member.send(JSON.stringify({ type: 'system', message: `Welcome to the chat, ${name}!` }));
  const count = JSON.stringify({ type: 'user_count', count: members.size });
  if (announces) broadcast(count, null);
  else member.send(count);

  member.on('message', (data) => {
    const { message } = JSON.parse(data.toString());
    lastId += 1;
    broadcast(JSON.stringify({ type: 'message', sender: name, message, timestamp: stamp, id: lastId }), member);
  });
  member.on('error', () => {});
  member.on('close', () => {
    members.delete(member);
    if (announces) {
      broadcast(JSON.stringify({ type: 'system', message: `${name} left the chat` }), null);
      broadcast(JSON.stringify({ type: 'user_count', count: members.size }), null);
    }
  });
});

server.listen(Number(options.port), '127.0.0.1', 1024);
