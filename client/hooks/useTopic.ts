import { useCallback, useEffect, useSyncExternalStore } from 'react';

import type { JobcastClient } from '../core/client';
import type { Incoming, Sequenced } from '../core/ordering';
import type { Snapshot } from '../core/topic';
import type { Topics } from '../core/topics';

export interface RealtimeOptions {
  /** Default true; false neither connects nor polls. */
  enabled?: boolean;
  /** Milliseconds between polls while there is no push; 0 for none. Default: the server's, 5000. */
  fallbackPollingInterval?: number;
}

const nothing = () => undefined;

/** One topic of `topics`, subscribed as long as the component is mounted. */
export function useTopic<State, Page extends Sequenced, Event extends Incoming>(
  client: JobcastClient,
  topics: Topics<State, Page, Event>,
  id: string,
  { enabled = true, fallbackPollingInterval }: RealtimeOptions,
  limit?: number,
): Snapshot<State> {
  const active = enabled && id !== '';

  const subscribe = useCallback(
    (listener: () => void) =>
      active
        ? topics.subscribe(id, listener, {
            ...(fallbackPollingInterval !== undefined && { pollingInterval: fallbackPollingInterval }),
            ...(limit !== undefined && { limit }),
          })
        : nothing,
    [active, topics, id, fallbackPollingInterval, limit],
  );
  // The connection outlives a change of the id, which only costs a subscription then.
  useEffect(() => (active ? client.hold() : nothing), [active, client]);

  const snapshot = () => topics.snapshot(active ? id : '');
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}
