import { announce, available } from './page.js';

const $ = (id) => document.getElementById(id);
const ENDED = /^(PASSED|FAILED|CANCELLED|EXPIRED)$/;
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
let key = null;                    // the same until the submission is known to be stored: a repetition is not a second one

$('curl').textContent = `curl -H 'Content-Type: application/json' \\
     -d '{"title":"On sleep","email":"ann@school.example","text":"We sleep a third of our lives."}' \\
     ${location.origin}/submissions

# PENDING, PROCESSING, then PASSED or FAILED
curl ${location.origin}/submissions/<id>`;

if (await available('/submissions', 'conf/recipes/submissions.conf')) {
  $('submit').addEventListener('submit', (event) => { event.preventDefault(); submit(); });
  $('submit').addEventListener('input', () => { key = null; });
} else {
  $('submit').querySelector('button').disabled = true;
}

async function submit() {
  key ??= [...crypto.getRandomValues(new Uint32Array(4))].join('-');
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': `"${key}"` };
  const body = JSON.stringify({ title: $('title').value, email: $('email').value, text: $('text').value });
  try {
    const answer = await fetch('/submissions', { method: 'POST', headers, body });
    const submission = await answer.json();
    if (answer.status !== 202) throw new Error(submission.detail ?? submission.title);
    key = null;
    $('state').textContent = '';
    follow(answer.headers.get('Location'), show($('title').value, submission));
  } catch (error) {
    $('state').textContent = `Not submitted: ${error.message}`;
  }
}

/// Polls as often as the server says, until the verdict.
async function follow(url, view) {
  for (;;) {
    const answer = await fetch(url, { headers: { Accept: 'application/json' } }).catch(() => null);
    if (answer?.ok && view.take(await answer.json())) return;
    await pause(Number(answer?.headers.get('Retry-After')) || 1);
  }
}

function show(title, submission) {
  const article = $('submission').content.firstElementChild.cloneNode(true);
  const states = [...article.querySelectorAll('.states li')];
  article.querySelector('h2').textContent = title || 'Untitled';
  article.title = submission.id;
  $('submissions').prepend(article);
  const view = {
    take({ status, attempt, error }) {
      const ended = ENDED.test(status);
      const now = ended ? states.length - 1 : states.findIndex((item) => item.dataset.status === status);
      states.forEach((item, index) => { item.className = index < now ? 'past' : index === now ? 'now' : ''; });
      article.dataset.status = status;
      article.classList.toggle('failed', ended && status !== 'PASSED');
      article.querySelector('.note').textContent = error ?? (attempt > 1 ? `attempt ${attempt}` : '');
      if (ended) {
        states[now].textContent = status.toLowerCase();
        announce(`${title}: ${status.toLowerCase()}`);
      }
      return ended;
    },
  };
  view.take(submission);
  return view;
}
