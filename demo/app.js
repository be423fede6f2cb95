import { submit } from './await.js';
import { announce, available, made } from './page.js';

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

if (await available('/jobs', 'conf/minimal.conf')) {
  input.addEventListener('change', () => { [...input.files].forEach(add); input.value = ''; });
  for (const type of ['dragenter', 'dragover']) {
    drop.addEventListener(type, (event) => { event.preventDefault(); drop.classList.add('over'); });
  }
  for (const type of ['dragleave', 'drop']) {
    drop.addEventListener(type, (event) => { event.preventDefault(); drop.classList.remove('over'); });
  }
  drop.addEventListener('drop', (event) => [...event.dataTransfer.files].forEach(add));
} else {
  input.disabled = true;
}

function add(file) { upload(file, show(file)); }

async function upload(file, view) {
  view.start();
  const form = new FormData();
  form.append('image', file);
  try {
    const job = await submit('/jobs', form);
    curl.textContent = lines(job.id);
    view.submitted(job);
    for await (const event of job.events()) take(event, job, view);
  } catch (error) {
    view.fail(error.message);
  }
}

function take(event, job, view) {
  const type = event.type === 'reset' ? event.state : event.type;
  view.log(event.type, event);
  switch (type) {
    case 'pending': case 'processing': view.state(type); break;
    case 'progress': view.progress(event.data); break;
    case 'completed': view.state('completed'); view.picture(`${job.url}/result`); break;
    case 'failed': view.fail(event.data?.detail ?? 'It has failed.'); break;
    case 'cancelled': view.fail('Cancelled.'); break;
    case 'expired': view.fail('It was not done in time.'); break;
  }
}

function show(file) {
  const article = made('job');
  const $ = (selector) => article.querySelector(selector);
  const states = [...article.querySelectorAll('.states li')];
  let began = 0;
  let job = null;
  const ended = (again) => { $('.cancel').hidden = true; $('.again').hidden = !again; };
  const view = {
    start() {
      began = performance.now();
      article.classList.remove('failed');
      $('.events').textContent = '';
      $('.note').textContent = '';
      $('progress').value = 0;
      ended(false);
      view.state('uploading');
    },
    submitted(accepted) { job = accepted; $('.cancel').hidden = false; },
    state(state) {
      const now = states.findIndex((item) => item.dataset.state === state);
      states.forEach((item, index) => { item.className = index < now ? 'past' : index === now ? 'now' : ''; });
      article.dataset.state = state;
      if (state !== 'completed') return;
      $('progress').value = 1;
      $('.note').textContent = `Done in ${Math.round(performance.now() - began)} ms`;
      ended(false);
      announce(`${file.name}: completed`);
    },
    progress(data) {
      if (data?.total) $('progress').value = data.done / data.total;
      if (data?.step) $('.note').textContent = data.step;
    },
    picture(address) {
      const image = $('img');
      image.onload = () => image.classList.add('there');
      image.alt = `Thumbnail of ${file.name}`;
      image.src = address;
    },
    fail(why) {
      article.classList.add('failed');
      article.dataset.state = 'failed';
      $('.note').textContent = why;
      ended(true);
      announce(`${file.name}: ${why}`);
    },
    log(type, event) { $('.events').textContent += `${type} ${JSON.stringify(event)}\n`; },
  };
  $('h2').textContent = file.name;
  $('.cancel').addEventListener('click', () => job.cancel());   // its event follows
  $('.again').addEventListener('click', () => upload(file, view));
  jobs.prepend(article);
  return view;
}
