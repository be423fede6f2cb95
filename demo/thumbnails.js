import { submit } from '/client/nginx-await.js';
import { $, announce, available, made, watched } from './page.js';
import { samples } from './samples.js';

async function thumbnail(file, view) {
  const form = new FormData();
  form.append('image', file);
  try {
    const job = await submit('/jobs', form, { onUploadProgress: ({ loaded, total }) => view.upload(loaded / total) });
    view.accepted(job);
    for await (const event of watched(job).events()) view.take(event);
    view.picture(await (await job.result()).blob());
  } catch (error) {                                   // refused, failed, cancelled: the problem says why
    view.fail(error.message);
  }
}

function show(file) {
  const article = made('photo');
  const [image, note, progress, cancel, again] = ['img', '.note', 'progress', '.cancel', '.again'].map((each) => $(each, article));
  let job = null;
  const view = {
    state(state, text = state) {
      article.dataset.state = state;
      note.textContent = text;
      progress.hidden = ['completed', 'failed'].includes(state);
      cancel.hidden = progress.hidden || state === 'uploading';
      again.hidden = state !== 'failed';
      if (progress.hidden) announce(`${file.name}: ${text}`);
    },
    upload(part) { progress.value = part / 2; },
    accepted(accepted) {
      job = accepted;
      article.title = job.id;
    },
    take({ type, state, data }) {
      $('#events').textContent += `${file.name} ${type}${data ? ` ${JSON.stringify(data)}` : ''}\n`;
      if (['pending', 'processing'].includes(state ?? type)) view.state(state ?? type);
      if (type === 'progress') progress.value = 0.5 + data.done / data.total / 2;
    },
    picture(blob) {
      image.onload = () => { URL.revokeObjectURL(image.src); image.classList.add('there'); view.state('completed', `${Math.ceil(blob.size / 1024)} KB`); };
      image.alt = `Thumbnail of ${file.name}`;
      image.src = URL.createObjectURL(blob);
    },
    fail(why) { view.state('failed', why); },
  };
  $('h2', article).textContent = file.name;
  cancel.addEventListener('click', () => job.cancel().catch((error) => view.state('pending', error.message)));
  again.addEventListener('click', () => start());
  const start = () => { view.state('uploading'); thumbnail(file, view); };
  $('#photos').prepend(article);
  start();
}

if (await available('/jobs', 'conf/minimal.conf')) {
  const input = $('#files');
  const drop = $('#drop');
  input.addEventListener('change', () => { [...input.files].forEach(show); input.value = ''; });
  for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) {
    drop.addEventListener(type, (event) => { event.preventDefault(); drop.classList.toggle('over', /enter|over$/.test(type)); });
  }
  drop.addEventListener('drop', ({ dataTransfer }) => [...dataTransfer.files].forEach(show));
  $('#samples').addEventListener('click', async () => (await samples(12)).forEach(show));
}
