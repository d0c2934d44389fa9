import { useCallback, useMemo } from 'react';

import { unreadCount } from '../core/notifications';
import { useJobcastClient } from './JobcastProvider';
import type { Notification } from './types';
import type { RealtimeOptions } from './useTopic';
import { useTopic } from './useTopic';

export interface UseRealtimeNotificationsOptions extends RealtimeOptions {
  /** How many of the newest notifications are held; default 50. */
  maxNotifications?: number;
}

export interface UseRealtimeNotificationsReturn {
  /** Newest first. */
  notifications: Notification[];
  /** Of the whole inbox, not only of what is held here. */
  unreadCount: number;
  connected: boolean;
  error: Error | null;
  isPolling: boolean;
  markAsRead: (notificationId: string) => void;
  clearAll: () => void;
}

/** Follows one user's inbox; reading and clearing show at once, here and in the user's other tabs. */
export function useRealtimeNotifications(
  userId: string,
  { maxNotifications = 50, ...options }: UseRealtimeNotificationsOptions = {},
): UseRealtimeNotificationsReturn {
  const client = useJobcastClient();
  const { notifications: topics } = client;
  const { state, ...rest } = useTopic(client, topics, userId, options, maxNotifications);

  const notifications = useMemo(
    () => state.entries.slice(-maxNotifications).reverse(),
    [state.entries, maxNotifications],
  );
  const markAsRead = useCallback(
    (notificationId: string) => void client.markAsRead(userId, notificationId),
    [client, userId],
  );
  const clearAll = useCallback(() => void client.clearNotifications(userId), [client, userId]);

  return { notifications, unreadCount: unreadCount(state), ...rest, markAsRead, clearAll };
}
