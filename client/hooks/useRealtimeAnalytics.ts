import { useCallback } from 'react';

import { useJobcastClient } from './JobcastProvider';
import type { AnalyticsData, AnalyticsEvent } from './types';
import type { RealtimeOptions } from './useTopic';
import { useTopic } from './useTopic';

export interface UseRealtimeAnalyticsReturn {
  /** Where the newest sync stands. */
  currentProgress: AnalyticsData | null;
  /** Oldest first; also insights and forecasts. */
  events: readonly AnalyticsEvent[];
  connected: boolean;
  isPolling: boolean;
  error: Error | null;
  /** Forgets progress and events on this page. */
  clearEvents: () => void;
}

/** Follows one brand's analytics syncs. */
export function useRealtimeAnalytics(
  brandId: string,
  options: RealtimeOptions = {},
): UseRealtimeAnalyticsReturn {
  const client = useJobcastClient();
  const { state, ...rest } = useTopic(client, client.analytics, brandId, options);
  const clearEvents = useCallback(() => {
    client.clearEvents(brandId);
  }, [client, brandId]);
  return { currentProgress: state.currentProgress, events: state.events, ...rest, clearEvents };
}
