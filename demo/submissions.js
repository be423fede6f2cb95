import { submit } from '/client/nginx-await.js';
import { $, announce, available, made, mark, pause, tell } from './page.js';

const ENDED = /^(PASSED|FAILED|CANCELLED|EXPIRED)$/;

/// Polls as often as the server says, until the verdict.
async function follow(url, view) {
  for (;;) {
    const answer = await fetch(url, { headers: { Accept: 'application/json' } }).catch(() => null);
    if (answer?.ok && view.take(await answer.json())) return;
    await pause(Number(answer?.headers.get('Retry-After')) || 1);
  }
}

function show({ title }) {
  const article = made('submission');
  const verdict = $('.states li:last-child', article);
  $('h2', article).textContent = title || 'Untitled';
  $('.when', article).textContent = new Date().toLocaleTimeString();
  $('#submissions').prepend(article);
  const view = {
    take({ status, attempt, error }) {
      const ended = ENDED.test(status);
      if (ended) {
        verdict.dataset.state = status;
        verdict.textContent = status.toLowerCase();
        article.classList.toggle('failed', status !== 'PASSED');
        announce(`${title}: ${status.toLowerCase()}`);
      }
      mark(article, status);
      $('.why', article).textContent = error ?? (attempt > 1 ? `attempt ${attempt}` : '');
      return ended;
    },
  };
  view.take({ status: 'PENDING' });
  return view;
}

if (await available('/submissions', 'conf/recipes/submissions.conf')) {
  $('#submit').addEventListener('submit', async (event) => {
    event.preventDefault();
    const submission = Object.fromEntries(new FormData(event.target));
    try {
      tell();
      const { url } = await submit('/submissions', submission);     // is repeated until it is known to be stored, once
      follow(url, show(submission));
    } catch (error) {
      tell(`Not submitted: ${error.message}`);
    }
  });
}
