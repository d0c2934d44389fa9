import type { JobStatusUpdate } from '../hooks/types';
import type { Kind } from './kind';
import { Newest } from './newest';
import type { Incoming } from './ordering';

export type JobEvent = Incoming<JobStatusUpdate> & { readonly name: 'job:status-changed' };

/** One job; every update is complete in itself. A higher attempt may lower its progress. */
export const JOB: Kind<JobStatusUpdate | null, JobStatusUpdate, JobEvent> = {
  namespace: '/jobs',
  idField: 'jobId',
  subscribeEvent: 'subscribe-job',
  unsubscribeEvent: 'unsubscribe-job',
  events: ['job:status-changed'],
  ownSocket: false,
  readAfterReset: false,
  initial: null,
  path: (id) => `/api/jobs/${encodeURIComponent(id)}`,
  concerns: (id, data) => 'jobId' in data && data.jobId === id,
  ordering: () => new Newest(),
  fold: (_, event) => event.data,
  reset: (state) => state,
  replace: (_, page) => page,
};
