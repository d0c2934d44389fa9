export { JobcastClient } from './core/client';
export type { ClientOptions } from './core/client';
export { JobcastError } from './core/errors';
export type { GetToken } from './core/http';
export { JobcastProvider, useJobcastClient } from './hooks/JobcastProvider';
export { useRealtimeAnalytics } from './hooks/useRealtimeAnalytics';
export type { UseRealtimeAnalyticsReturn } from './hooks/useRealtimeAnalytics';
export { useRealtimeJob } from './hooks/useRealtimeJob';
export type { UseRealtimeJobReturn } from './hooks/useRealtimeJob';
export { useRealtimeNotifications } from './hooks/useRealtimeNotifications';
export type {
  UseRealtimeNotificationsOptions,
  UseRealtimeNotificationsReturn,
} from './hooks/useRealtimeNotifications';
export type { RealtimeOptions } from './hooks/useTopic';
export type * from './hooks/types';
