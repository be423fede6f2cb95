import { announce, available } from './page.js';

const $ = (id) => document.getElementById(id);
const views = new Map();
let socket = null;
let pause = 1000;

const [, host, port] = location.host.match(/^(.*?)(?::(\d+))?$/);
$('curl').textContent = `# as a service, on the address of the services
curl -H 'X-Internal-API-Key: 9f86d081884c7d65' -H 'X-Service-ID: dashboard' \\
     -H 'X-User-ID: ann' -H 'Idempotency-Key: "class-7"' \\
     -H 'Content-Type: application/json' \\
     -d '{"jobs":[{"queue":"spellcheck","payload":"An essay.","params":{"essay_id":"e1"}}]}' \\
     http://${host}:${Number(port ?? 80) + 1}/internal/v1/batches

# as a dashboard
curl -b session=5e884898da280471 ${location.origin}/batches
curl -b session=5e884898da280471 ${location.origin}/batches/<id>
curl -N -b session=5e884898da280471 -H 'Accept: text/event-stream' ${location.origin}/batches/<id>`;

const words = `we sleep a third of our lives becuase teh brain needs it dreams are stories that nobody has written memory sorts what
  it will recieve from the day and throws away what does not matter so learning goes on at night`.split(/\s+/);
const essay = (n) => Array.from({ length: 25 + 2 * n }, (_, i) => words[(i * (n + 1) + n) % words.length]).join(' ');

if (await available('/batches', 'conf/recipes/assessment.conf', {}, '/session')) {
  $('submit').querySelector('button').disabled = false;
  $('submit').addEventListener('submit', (event) => { event.preventDefault(); submit(); });
  connect();
}

async function submit() {
  const jobs = Array.from({ length: Number($('count').value) }, (_, i) => ({
    payload: i === 1 && $('empty').checked ? '' : essay(i), params: { essay_id: `${i + 1}` } }));
  try {
    const answer = await fetch('/batches', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ jobs }) });
    const batch = await answer.json();
    if (answer.status !== 202) throw new Error(batch.detail ?? batch.title);
    show(batch);
    $('state').textContent = '';
  } catch (error) {
    $('state').textContent = `Not submitted: ${error.message}`;
  }
}

/// The socket tells what changes; the list, at each connection, what has changed before.
function connect() {
  socket = new WebSocket(`${location.origin.replace('http', 'ws')}/live`, 'await.v1');
  socket.onmessage = ({ data }) => take(JSON.parse(data));
  socket.onclose = () => {
    $('state').textContent = 'not connected';
    setTimeout(connect, pause * (0.75 + Math.random() / 2));
    pause = Math.min(30000, pause * 2);
  };
}

function take(message) {
  if (message.op === 'subscribed' || message.op === 'reset') {
    pause = 1000;
    list();
  } else if (message.batch) {
    const view = views.get(message.batch);
    if (!view) list();                                         // of another tab, or of a service
    else view.refresh();
  }
}

async function list() {
  const answer = await fetch('/batches?limit=10').catch(() => null);
  if (!answer?.ok) return;
  for (const batch of (await answer.json()).batches.reverse()) show(batch);
  $('state').textContent = 'live';
}

function show(batch) {
  const view = views.get(batch.id) ?? create(batch);
  view.update(batch.phases, batch.seq);
  if (batch.finished_at) view.finish();
}

function create(batch) {
  const article = $('batch').content.firstElementChild.cloneNode(true);
  const find = (selector) => article.querySelector(selector);
  let seq = 0;
  let wanted = 0;
  let finished = false;
  find('.when').textContent = new Date(batch.created_at).toLocaleTimeString();
  article.title = batch.id;
  $('batches').prepend(article);
  const view = {
    /// Something has changed: reads what, one request at a time.
    async refresh() {
      wanted += 1;
      if (wanted > 1) return;
      for (let done = 0; done < wanted; ) {
        done = wanted;
        const answer = await fetch(`/batches/${batch.id}?limit=1`).catch(() => null);
        if (answer?.ok) show(await answer.json());
      }
      wanted = 0;
    },
    update(phases, at) {
      if (at < seq) return;
      seq = at;
      const essays = phases.spellcheck.total;
      find('h2').textContent = `${essays} ${essays === 1 ? 'essay' : 'essays'}`;
      for (const bar of article.querySelectorAll('progress')) {
        const { done, completed } = phases[bar.dataset.phase];
        bar.value = done / essays;
        bar.nextElementSibling.textContent = `${completed} of ${essays}`;
      }
    },
    async finish() {
      if (finished) return;
      finished = true;
      const jobs = [];
      let document = null;
      for (let next = ''; next !== null; next = document.next) {
        const answer = await fetch(`/batches/${batch.id}?limit=200${next && `&cursor=${next}`}`).catch(() => null);
        if (!answer?.ok) { finished = false; return; }         // the next connection tries again
        document = await answer.json();
        jobs.push(...document.jobs);
      }
      view.update(document.phases, document.seq);
      fill(find('tbody'), jobs);
      find('table').hidden = false;
      find('.status').textContent = `${document.status.replaceAll('_', ' ')} in ${(new Date(document.finished_at) - new Date(document.created_at)) / 1000} s`;
      article.dataset.status = document.status;
      announce(`${find('h2').textContent}: ${document.status.replaceAll('_', ' ')}`);
    },
  };
  views.set(batch.id, view);
  return view;
}

/// A row for each essay: its assessment, or why there is none.
function fill(body, jobs) {
  const assessed = new Map(jobs.filter((job) => job.phase === 'cj').map((job) => [job.params?.essay_id, job]));
  body.replaceChildren(...jobs.filter((job) => job.phase === 'spellcheck').map((checked) => {
    const name = checked.params?.essay_id ?? checked.id;
    const job = assessed.get(checked.params?.essay_id) ?? checked;
    const { grade = '–', score = '–' } = job.result?.value ?? {};
    const remarks = job.error?.detail ?? checked.result?.value?.corrections.join(', ') ?? job.state;
    const row = document.createElement('tr');
    row.append(...[name, grade, score, remarks].map((text) => Object.assign(document.createElement('td'), { textContent: text })));
    return row;
  }));
}

// a page that the browser keeps for "back" would keep its socket too; it connects again if it is shown again
addEventListener('pagehide', () => socket?.close());
