import { useRealtimeJob } from '../hooks/useRealtimeJob';
import type { JobStatusUpdate } from '../hooks/types';
import { ProgressBar } from './ProgressBar';
import { isOver, LABELS, tally, timeLeft } from './status';

export interface JobCardProps {
  /** What the list said of the job, shown until it is subscribed. */
  listed: JobStatusUpdate;
  onApprove: (jobId: string) => void;
  onCancel: (jobId: string) => void;
}

export function JobCard({ listed, onApprove, onCancel }: JobCardProps) {
  const { status, error } = useRealtimeJob(listed.jobId);
  const job = status ?? listed;
  return (
    <li
      className="card job"
      data-testid="job-card"
      data-job-id={job.jobId}
      data-status={job.status}
      data-progress={job.progress}
    >
      <header>
        <h3>{job.description ?? 'Job'}</h3>
        <span className={`badge status-${job.status}`}>{LABELS[job.status]}</span>
      </header>
      <ProgressBar label={`Progress of job ${job.jobId}`} value={job.progress} />
      <Facts job={job} />
      {job.error !== undefined && <p className="problem">{job.error}</p>}
      {error && <p className="problem">{error.message}</p>}
      <footer>
        <code>{job.jobId}</code>
        <Actions job={job} onApprove={onApprove} onCancel={onCancel} />
      </footer>
    </li>
  );
}

function Facts({ job }: { job: JobStatusUpdate }) {
  const running = !isOver(job);
  const facts = [
    job.progress !== undefined && `${Math.round(job.progress)} %`,
    tally(job.completed, job.total),
    running && job.currentPlatform,
    running && job.etaSeconds !== undefined && timeLeft(job.etaSeconds),
    job.attempt !== undefined && job.attempt > 1 && `attempt ${job.attempt}`,
  ].filter((fact) => typeof fact === 'string');
  return (
    <p className="facts">
      {facts.map((fact) => (
        <span key={fact}>{fact}</span>
      ))}
      {running && job.stalled === true && <strong className="stalled">stalled</strong>}
    </p>
  );
}

function Actions({ job, onApprove, onCancel }: { job: JobStatusUpdate } & Omit<JobCardProps, 'listed'>) {
  const { jobId } = job;
  if (isOver(job)) return null;
  return (
    <div className="actions">
      {job.status === 'pending' && job.details?.requiresApproval === true && (
        <button type="button" data-testid={`approve-${jobId}`} onClick={() => { onApprove(jobId); }}>
          Approve
        </button>
      )}
      <button type="button" className="quiet" data-testid={`cancel-${jobId}`} onClick={() => { onCancel(jobId); }}>
        Cancel
      </button>
    </div>
  );
}
