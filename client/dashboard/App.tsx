import { useCallback, useMemo, useState } from 'react';

import { toError } from '../core/errors';
import { useJobcastClient } from '../hooks/JobcastProvider';
import { useRealtimeNotifications } from '../hooks/useRealtimeNotifications';
import { Alert } from './Alert';
import { AnalyticsPanel } from './AnalyticsPanel';
import { Api } from './api';
import { ConnectionBadge } from './ConnectionBadge';
import type { Identity } from './identity';
import { JobCard } from './JobCard';
import { NotificationsPanel } from './NotificationsPanel';
import { StartPanel } from './StartPanel';
import { useJobs } from './useJobs';

export function App({ identity }: { identity: Identity }) {
  const client = useJobcastClient();
  const api = useMemo(() => new Api(client.http, identity), [client, identity]);
  const [problem, setProblem] = useState<string | null>(null);
  const report = useCallback((reason: unknown) => {
    setProblem(toError(reason).message);
  }, []);

  const inbox = useRealtimeNotifications(identity.user);
  // Another tab's jobs announce themselves by a notification, those missed by a reconnect.
  const occasion = `${inbox.connected} ${inbox.notifications[0]?.id ?? ''}`;
  const { jobs, add } = useJobs(api, occasion, report);

  const attempt = async (action: Promise<unknown>) => {
    try {
      setProblem(null);
      await action;
    } catch (reason) {
      report(reason);
    }
  };

  return (
    <>
      <header className="top">
        <h1>Jobcast</h1>
        <p>
          {identity.brand} · {identity.user}
        </p>
        <ConnectionBadge connected={inbox.connected} isPolling={inbox.isPolling} />
      </header>
      {problem !== null && <Alert message={problem} onDismiss={() => { setProblem(null); }} />}
      <main>
        <div className="column">
          <StartPanel api={api} onStarted={add} onError={report} />
          <section aria-labelledby="jobs-title">
            <h2 id="jobs-title">Jobs</h2>
            {jobs.length === 0 && <p className="empty">No jobs yet: publish the example calendar.</p>}
            <ul className="jobs">
              {jobs.map((job) => (
                <JobCard
                  key={job.jobId}
                  listed={job}
                  onApprove={(id) => void attempt(api.approve(id))}
                  onCancel={(id) => void attempt(api.cancel(id))}
                />
              ))}
            </ul>
          </section>
        </div>
        <div className="column">
          <AnalyticsPanel brand={identity.brand} />
          <NotificationsPanel inbox={inbox} />
        </div>
      </main>
    </>
  );
}
