// A back end that takes its time: answers each request after the given milliseconds.
'use strict';
const http = require('http');
const [port, ms] = process.argv.slice(2).map(Number);
const server = http.createServer((request, response) => {
  request.resume();
  request.on('end', () => setTimeout(() => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': 14 });
    response.end('{"answer": 42}');
  }, ms));
});
server.keepAliveTimeout = 600000;
server.listen(port, '127.0.0.1', 4096);
