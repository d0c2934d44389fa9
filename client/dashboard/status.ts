import type { JobStatus, JobStatusUpdate } from '../hooks/types';

export const LABELS: Readonly<Record<JobStatus, string>> = {
  draft: 'Draft',
  pending: 'Waiting',
  approved: 'Approved',
  in_progress: 'In progress',
  published: 'Published',
  completed: 'Completed',
  failed: 'Failed',
  cancelled: 'Cancelled',
};

const TERMINAL: ReadonlySet<JobStatus> = new Set(['published', 'completed', 'failed', 'cancelled']);

export function isOver({ status }: JobStatusUpdate): boolean {
  return TERMINAL.has(status);
}

const whole = new Intl.NumberFormat('en');

/** `12 / 60`, as far as it is known. */
export function tally(done: number | undefined, total: number | undefined): string | null {
  if (done === undefined) return null;
  return total === undefined ? whole.format(done) : `${whole.format(done)} / ${whole.format(total)}`;
}

/** `about 2 min left`. */
export function timeLeft(seconds: number): string {
  if (seconds < 90) return `about ${Math.max(1, Math.round(seconds))} s left`;
  return `about ${whole.format(Math.round(seconds / 60))} min left`;
}
