// A server that loses, repeats and mixes up, exactly so often: for the test of the load generator (t/load.t). usage: faulty.js PORT
const http = require('http');
const streams = [];
const held = new Map();
let number = 0;
const server = http.createServer((req, res) => {
  if (req.method === 'POST' && req.url.startsWith('/done/')) {
    const id = req.url.slice(6);
    const answer = (to, say) => { const body = JSON.stringify({ id: say }); to.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`); };
    const to = held.get(id);
    req.resume();
    if (id === 'id3') { /* lost */ } else if (id === 'id5') answer(to, 'id6'); else answer(to, id);
    if (id === 'id7') answer(to, id);
    res.writeHead(202, { 'Content-Length': 0 });
    res.end();
  } else if (req.method === 'POST') {
    let body = '';
    req.on('data', (part) => (body += part));
    req.on('end', () => {
      number++;
      streams.forEach((stream, i) => {
        if (number === 3 && i === 0) return;
        stream.write(`data: ${body}\n\n`);
        if (number === 5 && i === 1) stream.write(`data: ${body}\n\n`);
        if (number === 7 && i === 2) stream.write('data: {"mark":"@other.7@"}\n\n');
      });
      res.writeHead(202, { 'Content-Length': 0 });
      res.end();
    });
  } else if (req.url === '/count') {
    res.end(String(held.size));
  } else if (req.url.startsWith('/hold/')) {
    held.set(req.url.slice(6), req.socket);
  } else {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    res.write(': hello\n\n');
    streams.push(res);
  }
});
server.listen(Number(process.argv[2]), '127.0.0.1');
