// Compiled by t/client.t.

import { useBatch, useJob, useJobs, useSubmit, useTopic, useWorkflowEvents } from 'nginx-await/react';
import { useJob as useVueJob } from 'nginx-await/vue';

export function View({ id, user }: { id: string | null; user: string }) {
  const { submit, job, submitting, upload, error } = useSubmit<{ progress: number }>('/jobs');
  const { state, last, cancel } = useJob(job);
  const jobs = useJobs(['/jobs/a', '/jobs/b']);
  const { batch } = useBatch(id);
  const news = useTopic<{ headline: { title: string } }>('news', { events: '/news', socket: '/ws' });
  const run = useWorkflowEvents(id, user);
  const percent = last?.type === 'progress' ? last.data + 1 : 0;
  return (
    <ul onClick={() => void submit({ a: 1 })}>
      <li>{state} {percent} {submitting ? upload?.loaded : String(error)} {batch?.id}</li>
      {jobs.map((each, i) => <li key={i}>{each.state}</li>)}
      {news.events.map((event) => (event.type === 'headline' ? <li key={event.seq}>{event.data.title}</li> : null))}
      {run.events.map((event) => <li key={event.seq}>{event.node_id}</li>)}
      <button onClick={() => void cancel()}>{run.status}</button>
    </ul>
  );
}

export const vue = () => useVueJob(() => '/jobs/a').view.value.state.length;
