// A consumer of Kafka that is not ours: kafkajs, in a group. Prints a line of JSON for each message.
// usage: node consumer.js KAFKAJS BROKERS TOPIC…
'use strict';
const [kafkajs, brokers, ...topics] = process.argv.slice(2);
const { Kafka, logLevel } = require(kafkajs);

const kafka = new Kafka({
  brokers: brokers.split(','), logLevel: logLevel.NOTHING, connectionTimeout: 1000, requestTimeout: 10000,
  retry: { initialRetryTime: 100, maxRetryTime: 500, retries: 100 },
});
const consumer = kafka.consumer({ groupId: 'results', heartbeatInterval: 300, maxWaitTimeInMs: 50 });

(async () => {
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  consumer.on(consumer.events.GROUP_JOIN, () => console.log(JSON.stringify({ joined: true })));
  await consumer.run({
    eachMessage: async ({ topic, message }) => {
      console.log(JSON.stringify({ topic, key: String(message.key), id: String(message.headers['event-id']) }));
    },
  });
})();
