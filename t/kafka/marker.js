// Ends a transaction in partition 0 of a topic, as a broker does: by a record that consumers do not see. The mock has no
// such records of its own. usage: marker.js PORT TOPIC
const net = require('net');

const [port, topic] = process.argv.slice(2);
const int = (size, n) => { const out = Buffer.alloc(size); out.writeIntBE(n, 0, size); return out; };
const long = (n) => { const out = Buffer.alloc(8); out.writeBigInt64BE(BigInt(n)); return out; };
const sized = (bytes) => Buffer.concat([int(4, bytes.length), bytes]);

const COMMIT = 1;
const key = Buffer.concat([int(2, 0), int(2, COMMIT)]);
const value = Buffer.concat([int(2, 0), int(4, 0)]);
// lengths are zigzag numbers
const record = Buffer.concat([Buffer.from([0, 0, 0, key.length * 2]), key, Buffer.from([value.length * 2]), value, Buffer.from([0])]);
const TRANSACTIONAL_CONTROL = 0x30;
const batch = Buffer.concat([
  int(4, -1), int(1, 2), int(4, 0), int(2, TRANSACTIONAL_CONTROL), int(4, 0), long(Date.now()), long(Date.now()),
  long(-1), int(2, -1), int(4, -1), int(4, 1), Buffer.from([record.length * 2]), record,
]);
const records = Buffer.concat([long(0), sized(batch)]);
const PRODUCE = 0;
const request = Buffer.concat([
  int(2, PRODUCE), int(2, 3), int(4, 1), int(2, -1), int(2, -1), int(2, -1), int(4, 1000), int(4, 1),
  int(2, topic.length), Buffer.from(topic), int(4, 1), int(4, 0), sized(records),
]);
const broker = net.connect(Number(port), '127.0.0.1', () => broker.write(sized(request)));
broker.once('data', (answer) => {
  const error = answer.readInt16BE(4 + 4 + 4 + 2 + topic.length + 4 + 4);
  process.exit(error === 0 ? 0 : 1);
});
