// What one writes with Node: event streams, held requests, a POST that goes to all streams, completions by Redis.
// usage: sse.js PORT [REDIS_PORT PASSWORD]
const http = require('http');
const net = require('net');
const [port, redisPort, password] = process.argv.slice(2);
const streams = new Set();
const held = new Map();
const server = http.createServer((req, res) => {
  if (req.method === 'POST') {
    let body = '';
    req.on('data', (part) => (body += part));
    req.on('end', () => {
      const frame = `id: AcmxhTEiQ0NzAAAAAA\nevent: line\ndata: ${body}\n\n`;
      for (const stream of streams) stream.write(frame);
      res.writeHead(202, { 'Content-Length': 0 });
      res.end();
    });
  } else if (req.url.startsWith('/hold/')) {
    const id = req.url.slice(6);
    held.set(id, res);
    res.on('close', () => held.delete(id));
  } else {
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    res.write(': hello\n\n');
    streams.add(res);
    res.on('close', () => streams.delete(res));
  }
});
setInterval(() => { for (const stream of streams) stream.write(':\n\n'); }, 15000);
server.requestTimeout = 0;
server.listen(Number(port), '127.0.0.1', 4096);

// the least of Redis' protocol: one SUBSCRIBE, then messages {"id": …}
if (redisPort) {
  const command = (...words) => `*${words.length}\r\n` + words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('');
  const socket = net.connect(Number(redisPort), '127.0.0.1', () => socket.write(command('AUTH', password) + command('SUBSCRIBE', 'done')));
  let rest = '';
  socket.on('data', (bytes) => {
    rest += bytes;
    const lines = rest.split('\r\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line[0] !== '{') continue;
      const res = held.get(JSON.parse(line).id);
      if (res) { res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(line) }); res.end(line); }
    }
  });
}
