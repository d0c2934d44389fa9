import { useCallback, useEffect, useState } from 'react';

import { JobcastError } from '../core/errors';
import { UNREACHABLE } from '../core/http';
import type { JobStatusUpdate } from '../hooks/types';
import type { Api } from './api';

/** How many jobs are shown, each with a subscription of its own. */
const SHOWN = 30;

export interface Jobs {
  jobs: readonly JobStatusUpdate[];
  add: (job: JobStatusUpdate) => void;
}

/** The brand's jobs, newest first; read again whenever `occasion` changes. */
export function useJobs(api: Api, occasion: string, onError: (reason: unknown) => void): Jobs {
  const [jobs, setJobs] = useState<readonly JobStatusUpdate[]>([]);
  const add = useCallback((job: JobStatusUpdate) => {
    setJobs((known) => merge([job], known));
  }, []);

  useEffect(() => {
    let current = true;
    const show = (listed: readonly JobStatusUpdate[]) => {
      if (current) setJobs((known) => merge(added(known, listed), listed));
    };
    const complain = (reason: unknown) => {
      if (current && !isOutage(reason)) onError(reason);
    };
    api.jobs().then(show, complain);
    return () => {
      current = false;
    };
  }, [api, occasion, onError]);

  return { jobs, add };
}

/** The badge says it already, and the list is read again when the server is back. */
function isOutage(reason: unknown): boolean {
  return reason instanceof JobcastError && reason.code === UNREACHABLE;
}

function merge(first: readonly JobStatusUpdate[], rest: readonly JobStatusUpdate[]) {
  const ids = new Set(first.map((job) => job.jobId));
  return [...first, ...rest.filter((job) => !ids.has(job.jobId))].slice(0, SHOWN);
}

/** Jobs at the top of the list that the server has not listed, because they came since. */
function added(known: readonly JobStatusUpdate[], listed: readonly JobStatusUpdate[]) {
  const ids = new Set(listed.map((job) => job.jobId));
  const first = known.findIndex((job) => ids.has(job.jobId));
  return first === -1 ? known : known.slice(0, first);
}
