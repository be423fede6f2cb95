import { createClient } from '/client/nginx-await.js';
import { $, announce, available, element, made, pause, tell, watched } from './page.js';

const client = createClient();
const plain = createClient({ socket: false });         // as where no WebSocket gets through
const ENDED = /^(completed|failed|cancelled|expired)$/;
let count = 0;

const WAYS = {
  WebSocket: (job) => watched(job).events(),
  'event stream': (job) => plain.job(job.url).events(),
  'held request': (job) => asked(job.url, '?wait=20'),
  polls: (job) => asked(job.url, ''),
};

async function* asked(url, wait) {
  for (let state = ''; !ENDED.test(state); ) {
    const answer = await fetch(url + wait, { headers: { Accept: 'application/json' } }).catch(() => null);
    if (answer?.ok) {
      ({ state } = await answer.json());
      yield { type: state };
    }
    if (!answer?.ok || !wait) await pause(Number(answer?.headers.get('Retry-After')) || 1);
  }
}

async function judge(answer) {
  try {
    tell();
    const job = await client.submit('/judge/submissions', answer, { headers: { 'Content-Type': 'text/plain' } });
    const view = show(job);
    await Promise.all(Object.entries(WAYS).map(async ([name, way]) => {
      const line = view.line(name);
      for await (const event of way(job)) line.take(event);
      line.output(await (await job.result()).text());
    }));
    view.output(await job.result());
  } catch (error) {
    tell(`Not judged: ${error.message}`);
  }
}

function show(job) {
  const article = made('submission');
  const title = `Submission ${++count}`;
  $('h2', article).textContent = title;
  article.title = job.id;
  $('#submissions').prepend(article);
  return {
    line(name) {
      const tests = Array.from({ length: 10 }, (_, i) => element('li', { textContent: i + 1 }));
      const mark = (test, passed) => Object.assign(tests[test - 1], { className: passed ? 'passed' : 'failed', textContent: `${test} ${passed ? '✓' : '✗'}` });
      $('.ways', article).append(element('dt', { textContent: name }), element('dd', {}, element('ol', { className: 'tests' }, ...tests)));
      return {
        take({ type, data }) {
          if (type === 'tested') mark(data.test, data.passed);
          else if (!ENDED.test(type)) $('.verdict', article).textContent = type;
        },
        output(text) { for (const [, test, verdict] of text.matchAll(/^test (\d+): (\w+)$/gm)) mark(test, verdict === 'passed'); },
      };
    },
    async output(answer) {
      const text = await answer.text();
      const [, name] = /filename="?([^";]+)/.exec(answer.headers.get('Content-Disposition') ?? '') ?? [null, 'the output'];
      const verdict = `${text.trim().split('\n').at(-1)} tests passed`;
      $('summary', article).textContent = name;
      $('pre', article).textContent = text;
      $('details', article).hidden = false;
      $('.verdict', article).textContent = verdict;
      article.dataset.state = 'completed';
      announce(`${title}: ${verdict}`);
    },
  };
}

if (await available('/judge/submissions', 'conf/demo.conf')) {
  $('#submit').addEventListener('submit', (event) => { event.preventDefault(); judge(new FormData(event.target).get('answer')); });
}
