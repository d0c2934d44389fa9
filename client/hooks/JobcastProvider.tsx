import type { ReactNode } from 'react';
import { createContext, useContext, useEffect } from 'react';

import { JobcastClient } from '../core/client';

const ClientContext = createContext<JobcastClient | null>(null);

let defaultClient: JobcastClient | undefined;

/** The client of the nearest provider; without one, the page's own, on the page's origin. */
export function useJobcastClient(): JobcastClient {
  const provided = useContext(ClientContext);
  return provided ?? (defaultClient ??= new JobcastClient());
}

export interface JobcastProviderProps {
  client: JobcastClient;
  children: ReactNode;
}

/** Optional: gives the hooks below it another client, and keeps its connection open. */
export function JobcastProvider({ client, children }: JobcastProviderProps) {
  useEffect(() => client.hold(), [client]);
  return <ClientContext value={client}>{children}</ClientContext>;
}
