// The chat on Bun's own WebSocket server with publish/subscribe, as its documentation shows it.
// Not a product: no limits, no history.
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  args: Bun.argv.slice(2),
  options: { port: { type: 'string', default: '8000' }, announce: { type: 'string', default: 'on' } },
});
const announces = options.announce === 'on';
let lastId = 0;
let present = 0;

function timestamp() {
  return new Date().toISOString().slice(0, 19).replace('T', ' ');
}

let stamp = timestamp();
setInterval(() => { stamp = timestamp(); }, 1000).unref();

const server = Bun.serve({
  port: Number(options.port),
  hostname: '127.0.0.1',
  fetch(request, server) {
    const name = new URL(request.url).searchParams.get('username') ?? 'nobody';
    if (server.upgrade(request, { data: { name } })) return undefined;
    return new Response('this is a chat', { status: 404 });
  },
  websocket: {
    perMessageDeflate: false,
    idleTimeout: 960,
    backpressureLimit: 256 << 20, // nothing may be dropped: every delivery is counted
    open(socket) {
      const { name } = socket.data;
      present += 1;
      if (announces) server.publish('chat', JSON.stringify({ type: 'system', message: `${name} joined the chat` }));
      socket.subscribe('chat');
      socket.send(JSON.stringify({ type: 'system', message: `Welcome to the chat, ${name}!` }));
      const count = JSON.stringify({ type: 'user_count', count: present });
      if (announces) server.publish('chat', count);
      else socket.send(count);
    },
    message(socket, data) {
      const { message } = JSON.parse(data);
      lastId += 1;
      // A socket's own publish leaves that socket out.
      socket.publish('chat', JSON.stringify({ type: 'message', sender: socket.data.name, message, timestamp: stamp, id: lastId }));
    },
    close(socket) {
      present -= 1;
      if (announces) {
        server.publish('chat', JSON.stringify({ type: 'system', message: `${socket.data.name} left the chat` }));
        server.publish('chat', JSON.stringify({ type: 'user_count', count: present }));
      }
    },
  },
});
