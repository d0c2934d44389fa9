import { useState } from 'react';

import type { JobStatusUpdate } from '../hooks/types';
import type { Api } from './api';

export interface StartPanelProps {
  api: Api;
  onStarted: (job: JobStatusUpdate) => void;
  onError: (reason: unknown) => void;
}

export function StartPanel({ api, onStarted, onError }: StartPanelProps) {
  const [requiresApproval, setRequiresApproval] = useState(false);
  const [busy, setBusy] = useState(false);

  const start = async (request: Promise<JobStatusUpdate | null>) => {
    setBusy(true);
    try {
      const job = await request;
      if (job) onStarted(job);
    } catch (reason) {
      onError(reason);
    } finally {
      setBusy(false);
    }
  };

  return (
    <section className="card start" aria-label="Start a job">
      <button
        type="button"
        data-testid="publish-example"
        disabled={busy}
        onClick={() => void start(api.publishExample(requiresApproval))}
      >
        Publish the example calendar
      </button>
      <button
        type="button"
        className="secondary"
        data-testid="sync-example"
        disabled={busy}
        onClick={() => void start(api.syncExample())}
      >
        Sync the example metrics
      </button>
      <label>
        <input
          type="checkbox"
          data-testid="requires-approval"
          checked={requiresApproval}
          onChange={(event) => { setRequiresApproval(event.target.checked); }}
        />
        publishing requires approval
      </label>
    </section>
  );
}
