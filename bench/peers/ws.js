// What one writes with Node and npm's ws: sockets, and a POST that goes to all of them. usage: ws.js PORT
const http = require('http');
const { WebSocketServer } = require('ws');
const server = http.createServer((req, res) => {
  let body = '';
  req.on('data', (part) => (body += part));
  req.on('end', () => {
    for (const socket of sockets.clients) socket.send(body);
    res.writeHead(202, { 'Content-Length': 0 });
    res.end();
  });
});
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
server.listen(Number(process.argv[2]), '127.0.0.1', 4096);
