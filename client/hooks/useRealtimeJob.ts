import { useJobcastClient } from './JobcastProvider';
import type { JobStatusUpdate } from './types';
import type { RealtimeOptions } from './useTopic';
import { useTopic } from './useTopic';

export interface UseRealtimeJobReturn {
  /** The newest update; null until the first one. */
  status: JobStatusUpdate | null;
  connected: boolean;
  error: Error | null;
  isPolling: boolean;
}

/** Follows one job, also across its retries: a finished job that starts again is followed on. */
export function useRealtimeJob(
  jobId: string,
  options: RealtimeOptions = {},
): UseRealtimeJobReturn {
  const client = useJobcastClient();
  const { state, connected, error, isPolling } = useTopic(client, client.jobs, jobId, options);
  return { status: state, connected, error, isPolling };
}
