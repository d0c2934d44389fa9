import { useRealtimeAnalytics } from '../hooks/useRealtimeAnalytics';
import { ProgressBar } from './ProgressBar';
import { tally } from './status';

export function AnalyticsPanel({ brand }: { brand: string }) {
  const { currentProgress: sync, error, clearEvents } = useRealtimeAnalytics(brand);
  return (
    <section className="card" data-testid="analytics" aria-labelledby="analytics-title">
      <header>
        <h2 id="analytics-title">Analytics</h2>
        {sync && (
          <button type="button" className="quiet" onClick={clearEvents}>
            Clear
          </button>
        )}
      </header>
      {sync ? (
        <>
          <ProgressBar label={`Sync of ${sync.platform}`} value={sync.progress} />
          <p className="facts">
            <span>{sync.platform}</span>
            <span data-testid="records">{tally(sync.recordsProcessed, sync.totalRecords)} records</span>
            {sync.currentMetric !== undefined && <span>{sync.currentMetric}</span>}
          </p>
        </>
      ) : (
        <p className="empty">No sync yet.</p>
      )}
      {error && <p className="problem">{error.message}</p>}
    </section>
  );
}
