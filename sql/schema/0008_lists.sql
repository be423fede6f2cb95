-- Lists of jobs (await.list_page) find what they show by indexes that were there before: an owner's jobs by
-- job_owner_eid, all jobs by the primary key, open ones by await.ready, await.delayed and await.lease. Only endings
-- that are rare among millions have an index of their own. A job that is completed pays nothing for it but the look at
-- two columns.
CREATE INDEX event_lost ON await.event (state, job) WHERE ending AND state <> 'completed';
CREATE INDEX event_owner_lost ON await.event (owner, state, job)
    WHERE ending AND state <> 'completed' AND owner IS NOT NULL;

-- Batches are rows of await.job, with `extra`: an index of them alone, of which jobs pay nothing but the look at that
-- column.
CREATE INDEX job_batches ON await.job (id) WHERE extra IS NOT NULL;
CREATE INDEX job_owner_batches ON await.job (owner, id) WHERE extra IS NOT NULL AND owner IS NOT NULL;
