// A small React page for t/client_hooks.t, in StrictMode: each view can be taken away and put back.

import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { createApp, h, ref } from 'vue';
import { createClient } from 'nginx-await';
import { useBatch, useJob, useJobs, useSubmit, useTopic, useWorkflowEvents } from 'nginx-await/react';
import { useJob as useVueJob } from 'nginx-await/vue';

const count = { sockets: 0, subscribe: 0, unsubscribe: 0, polls: 0, renders: 0 };
class CountedSocket extends WebSocket {
  constructor(...args) { super(...args); count.sockets++; }
  send(text) { count[JSON.parse(text).op]++; super.send(text); }
}
const client = createClient({
  WebSocket: CountedSocket, quiet: 20000, fetch: (url, init) => { if (/json/.test(init?.headers?.Accept)) count.polls++; return fetch(url, init); },
});

const Job = ({ job }) => {
  const { state, events, error } = useJob(job);
  count.renders++;
  return <p className="job">{state}: {events.map(({ seq }) => seq).join(' ')} {error?.title}</p>;
};
const Jobs = ({ urls }) => <p className="jobs">{useJobs(urls, { client }).map(({ state }) => state).join(' ')}</p>;
const Batch = ({ url }) => <p className="batch">{useBatch(url, { client }).state}</p>;
const Topic = () => <p className="topic">{useTopic('news', { client, events: '/news', socket: false }).events.map(({ data }) => data.n).join(' ')}</p>;
const Run = ({ id }) => {
  const { events, status } = useWorkflowEvents(id, 'ann', { client });
  return <p className="run">{status}: {events.map(({ node_id, type }) => node_id ?? type).join(' ')}</p>;
};
function Submit() {
  const { submit, job, submitting, upload } = useSubmit('/jobs', { client });
  window.page.submit = submit;
  return <div><p className="upload">{submitting ? 'sending' : 'idle'} {upload?.loaded}</p>{job && <><Job job={job} /><Job job={job} /></>}</div>;
}

const views = { Jobs, Batch, Topic, Run, Submit };
function App() {
  const [shown, show] = useState({ name: null, props: {} });
  window.page.show = (name, props = {}) => show({ name, props });
  const View = views[shown.name];
  return View ? <View {...shown.props} /> : <p>nothing</p>;
}

window.page = { count, ready: false };
const root = createRoot(document.getElementById('root'));
root.render(<StrictMode><App /></StrictMode>);
setTimeout(() => { window.page.ready = true; });

// the same client in Vue
window.page.vue = (url) => {
  const element = document.body.appendChild(document.createElement('div'));
  const shown = ref(url);
  const app = createApp({ setup() { const { view } = useVueJob(shown, { client }); return () => h('p', { class: 'vue' }, `${view.value.state}: ${view.value.events.length}`); } });
  app.mount(element);
  return () => app.unmount();
};
