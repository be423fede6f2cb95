import { createClient } from '/client/nginx-await.js';
import { $, announce, available, made, row, tell, watched } from './page.js';

const client = createClient({ socket: '/live' });
const shown = new Set();
const words = `we sleep a third of our lives becuase teh brain needs it dreams are stories that nobody has written memory sorts what
  it will recieve from the day and throws away what does not matter so learning goes on at night`.split(/\s+/);
const essay = (n) => Array.from({ length: 25 + 2 * n }, (_, i) => words[(i * (n + 1) + n) % words.length]).join(' ');

async function assess(count, empty) {
  const jobs = Array.from({ length: count }, (_, n) => ({ payload: n === 1 && empty ? '' : essay(n), params: { essay_id: `${n + 1}` } }));
  try {
    tell();
    follow(await client.submitBatch('/batches', { jobs }), new Date());
  } catch (error) {
    tell(`Not submitted: ${error.message}`);
  }
}

async function follow(batch, at) {
  if (shown.has(batch.id)) return;
  shown.add(batch.id);
  const view = show(batch.id, at);
  try {
    for await (const { data } of watched(batch).events()) if (data?.phases) view.count(data.phases);
    view.finish(await (await fetch(`${batch.url}?limit=200`)).json());
  } catch (error) {
    tell(`Not followed: ${error.message}`);
  }
}

/// What was submitted before, or by a service.
async function list() {
  const answer = await fetch('/batches?limit=5').catch(() => null);
  if (answer?.ok) for (const each of (await answer.json()).batches.reverse()) follow(client.batch(each), new Date(each.created_at));
}

function show(id, at) {
  const article = made('batch');
  $('.when', article).textContent = at.toLocaleTimeString();
  $('h2', article).textContent = 'Essays';
  article.title = id;
  $('#batches').prepend(article);
  const view = {
    count(phases) {
      const { total } = phases.spellcheck;
      $('h2', article).textContent = `${total} ${total === 1 ? 'essay' : 'essays'}`;
      $('.status', article).textContent = 'in progress';
      for (const bar of article.querySelectorAll('progress')) {
        const { done = 0, completed = 0 } = phases[bar.dataset.phase] ?? {};
        bar.value = done / total;
        bar.nextElementSibling.textContent = `${completed} of ${total}`;
      }
    },
    finish({ phases, jobs, status, created_at: began, finished_at: ended }) {
      const text = status.replaceAll('_', ' ');
      view.count(phases);
      $('.status', article).textContent = `${text} in ${((new Date(ended) - new Date(began)) / 1000).toFixed(1)} s`;
      $('tbody', article).append(...rows(jobs));
      $('details', article).hidden = false;
      article.dataset.state = status;
      announce(`${$('h2', article).textContent}: ${text}`);
    },
  };
  return view;
}

/// A row for each essay: its assessment, or why there is none.
function rows(jobs) {
  const assessed = new Map(jobs.filter(({ phase }) => phase === 'cj').map((job) => [job.params?.essay_id, job]));
  return jobs.filter(({ phase }) => phase === 'spellcheck').map((checked) => {
    const job = assessed.get(checked.params?.essay_id) ?? checked;
    const { grade = '–', score = '–' } = job.result?.value ?? {};
    return row('td', [checked.params?.essay_id ?? checked.id, grade, score,
      job.error?.detail ?? (checked.result?.value?.corrections.join(', ') || '–')]);
  });
}

if (await available('/batches', 'conf/recipes/assessment.conf', {}, '/session')) {
  $('#submit').addEventListener('submit', (event) => {
    event.preventDefault();
    const { count, empty } = Object.fromEntries(new FormData(event.target));
    assess(Number(count), empty);
  });
  list();
}
