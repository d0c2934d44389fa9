export interface ConnectionBadgeProps {
  connected: boolean;
  isPolling: boolean;
}

export function ConnectionBadge({ connected, isPolling }: ConnectionBadgeProps) {
  const state = connected ? 'live' : isPolling ? 'polling' : 'disconnected';
  return (
    <span className={`badge connection-${state}`} data-testid="connection" role="status">
      {state}
    </span>
  );
}
