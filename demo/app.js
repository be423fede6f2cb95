'use strict';

const drop = document.getElementById('drop');
const input = document.getElementById('files');
const jobs = document.getElementById('jobs');
const curl = document.getElementById('curl');
const url = location.origin;

const lines = (job) => `# upload a photo
curl -F image=@photo.jpg ${url}/jobs

# the job: poll, or hold until it has ended
curl ${url}/jobs/${job}
curl -H 'Prefer: wait=20' ${url}/jobs/${job}

# its events, live
curl -N ${url}/jobs/${job}/events

# the thumbnail
curl -o thumbnail.jpg ${url}/jobs/${job}/result

# all in one: upload, wait, thumbnail
curl -F image=@photo.jpg -H 'Prefer: wait=20' \\
     -o thumbnail.jpg ${url}/jobs`;
curl.textContent = lines('<id>');

input.addEventListener('change', () => { [...input.files].forEach(submit); input.value = ''; });
for (const type of ['dragenter', 'dragover']) {
  drop.addEventListener(type, (event) => { event.preventDefault(); drop.classList.add('over'); });
}
for (const type of ['dragleave', 'drop']) {
  drop.addEventListener(type, (event) => { event.preventDefault(); drop.classList.remove('over'); });
}
drop.addEventListener('drop', (event) => [...event.dataTransfer.files].forEach(submit));

async function submit(file) {
  const view = show(file.name);
  const form = new FormData();
  form.append('image', file);
  try {
    const response = await fetch('/jobs', { method: 'POST', body: form });
    const body = await response.json();
    if (response.status !== 202) throw new Error(body.detail ?? body.title);
    curl.textContent = lines(body.id);
    watch(body, view);
  } catch (error) {
    view.fail(error.message);
  }
}

// The events of the job, live. EventSource reconnects by itself and resumes where it left off.
function watch(job, view) {
  const source = new EventSource(job.links.events);
  const on = (type, handler) => source.addEventListener(type, (message) => {
    const event = JSON.parse(message.data);
    view.log(type, event);
    handler(event);
  });
  on('pending', () => view.state('pending'));
  on('processing', () => view.state('processing'));
  on('progress', ({ data }) => view.progress(data));
  on('completed', () => { source.close(); view.state('completed'); view.picture(job.links.result); });
  on('failed', ({ data }) => { source.close(); view.fail(data?.detail ?? 'failed'); });
  on('cancelled', () => { source.close(); view.fail('cancelled'); });
  on('reset', ({ state }) => view.state(state));
}

function show(name) {
  const article = document.getElementById('job').content.firstElementChild.cloneNode(true);
  const $ = (selector) => article.querySelector(selector);
  const states = [...article.querySelectorAll('.states li')];
  $('h3').textContent = name;
  jobs.prepend(article);
  const began = performance.now();
  const view = {
    state(state) {
      const now = states.findIndex((item) => item.dataset.state === state);
      states.forEach((item, index) => { item.className = index < now ? 'past' : index === now ? 'now' : ''; });
      article.dataset.state = state;
      if (state === 'completed') {
        $('progress').value = 1;
        $('.note').textContent = `done in ${Math.round(performance.now() - began)} ms`;
      }
    },
    progress(data) {
      if (data?.total) $('progress').value = data.done / data.total;
      if (data?.step) $('.note').textContent = data.step;
    },
    picture(address) {
      const image = $('img');
      image.onload = () => image.classList.add('there');
      image.src = address;
    },
    fail(why) {
      article.classList.add('failed');
      article.dataset.state = 'failed';
      $('.note').textContent = why;
    },
    log(type, event) { $('.events').textContent += `${type} ${JSON.stringify(event)}\n`; },
  };
  view.state('uploading');
  return view;
}
