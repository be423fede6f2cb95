// On a server: importing starts nothing, rendering shows the beginning, and the process ends by itself.

import assert from 'node:assert/strict';
import { createElement, StrictMode } from 'react';
import { renderToString } from 'react-dom/server';
import { createSSRApp, h } from 'vue';
import { renderToString as renderVue } from 'vue/server-renderer';
import { job } from 'nginx-await';
import { useBatch, useJob, useJobs, useTopic, useWorkflowEvents } from 'nginx-await/react';
import { useJob as useVueJob } from 'nginx-await/vue';

globalThis.fetch = () => assert.fail('a request');
globalThis.WebSocket = class { constructor() { assert.fail('a socket'); } };

function View() {
  const { state } = useJob('http://server/jobs/a', { socket: false });
  const all = useJobs(['http://server/jobs/a', 'http://server/jobs/b']);
  const { status } = useWorkflowEvents(null, 'ann');
  return `${state} ${all.length} ${status}`;
}
assert.equal(renderToString(createElement(StrictMode, null, createElement(View))), 'pending 0 running');
function Relative() {
  const shown = [useJob('/jobs/a').state, useBatch('/batches/a').state, useTopic('news', { events: '/news', socket: '/ws' }).state, useWorkflowEvents('r1', 'ann').status];
  return `${shown} ${useJobs(['/jobs/a']).length}`;
}
assert.equal(renderToString(createElement(Relative)), 'pending,pending,pending,running 0');
assert.equal(await renderVue(createSSRApp({ setup: () => { const { job: it } = useVueJob('/jobs/a'); return () => h('p', it.value.id); } })), '<p>a</p>');
const app = createSSRApp({ setup: () => { const { view } = useVueJob('http://server/jobs/a'); return () => h('p', view.value.state); } });
assert.ok(app);
assert.equal(job('http://server/jobs/a').id, 'a');
