import { submit } from './await.js';
import { announce, available, made } from './page.js';

const $ = (id) => document.getElementById(id);
const names = { stream: 'event stream', socket: 'WebSocket', held: 'held request', poll: 'polls' };
const ENDED = /^(completed|failed|cancelled|expired)$/;
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
let count = 0;

$('curl').textContent = `curl -u admin:admin -d '2 3 5 7 11 13 17 19 23 29' ${location.origin}/judge/submissions
curl -u admin:admin '${location.origin}/judge/submissions/<id>?wait=20'
curl -u admin:admin -N ${location.origin}/judge/submissions/<id>/events
curl -u admin:admin -OJ ${location.origin}/judge/submissions/<id>/result

# to Kafka
build/await-relay --name kafka --queue judge \\
    --sink kafka=127.0.0.1:9092,topic=judge.{type}`;

if (await available('/judge/submissions', 'conf/demo.conf')) {
  $('submit').addEventListener('submit', (event) => {
    event.preventDefault();
    for (const how of $('how').value === 'all' ? Object.keys(names) : [$('how').value]) judge(how);
  });
} else {
  $('submit').querySelector('button').disabled = true;
}

async function judge(how) {
  $('state').textContent = '';
  try {
    const job = await submit('/judge/submissions', $('answer').value, { headers: { 'Content-Type': 'text/plain' } });
    const view = show(job, how);
    await follow[how](job.url, view);
    view.output(await job.result());
  } catch (error) {
    $('state').textContent = `Not judged: ${error.message}`;
  }
}

/// Each calls view.take() with events, or view.state() where only that is known, and resolves at the end.
const follow = {
  stream: (url, view) => new Promise((done) => {
    const stream = new EventSource(`${url}/events`);             // connects again by itself, with its cursor
    for (const type of ['pending', 'processing', 'tested', 'completed', 'failed', 'cancelled', 'expired']) {
      stream.addEventListener(type, ({ data }) => { if (view.take(JSON.parse(data))) { stream.close(); done(); } });
    }
  }),
  socket: (url, view) => new Promise((done) => {
    let cursor = '';
    let ended = false;
    const connect = () => {
      const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/events${cursor && `?cursor=${cursor}`}`, 'await.v1');
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        cursor = message.cursor ?? cursor;
        if (!message.type || !view.take(message)) return;
        ended = true;
        socket.close();
        done();
      };
      socket.onclose = () => { if (!ended) setTimeout(connect, 500 + 1000 * Math.random()); };
    };
    connect();
  }),
  held: (url, view) => ask(url, view, '?wait=20'),
  poll: (url, view) => ask(url, view, ''),
};

async function ask(url, view, how) {
  for (;;) {
    const answer = await fetch(url + how, { headers: { Accept: 'application/json' } }).catch(() => null);
    if (answer?.ok && view.state((await answer.json()).state)) return;
    if (!answer?.ok || !how) await pause(Number(answer?.headers.get('Retry-After')) || 1);
  }
}

function show(job, how) {
  const article = made('submission');
  const title = `Submission ${++count}`;
  const tests = Array.from({ length: 10 }, (_, i) => Object.assign(document.createElement('li'), { textContent: i + 1 }));
  article.querySelector('h2').textContent = title;
  article.querySelector('.how').textContent = `by ${names[how]}`;
  article.querySelector('.tests').append(...tests);
  article.title = job.id;
  $('submissions').prepend(article);
  const view = {
    take(event) {
      if (event.type !== 'tested') return view.state(event.type);
      mark(event.data.test, event.data.passed);
      return false;
    },
    state(state) {
      article.dataset.state = state;
      article.querySelector('.note:not(.how)').textContent = state;
      return ENDED.test(state);
    },
    async output(answer) {
      const text = await answer.text();
      const [, name] = /filename="?([^";]+)/.exec(answer.headers.get('Content-Disposition') ?? '') ?? [null, 'the output'];
      article.querySelector('summary').textContent = name;
      article.querySelector('pre').textContent = text;
      article.querySelector('details').hidden = false;
      for (const [, test, verdict] of text.matchAll(/^test (\d+): (\w+)$/gm)) mark(test, verdict === 'passed');
      const verdict = text.trim().split('\n').at(-1);
      article.querySelector('.note:not(.how)').textContent = `${verdict} tests passed`;
      announce(`${title}: ${verdict} tests passed`);
    },
  };
  function mark(test, passed) {
    const item = tests[test - 1];
    item.className = passed ? 'passed' : 'failed';
    item.textContent = `${test} ${passed ? '✓' : '✗'}`;
  }
  return view;
}
