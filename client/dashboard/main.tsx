import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { JobcastClient } from '../core/client';
import { JobcastProvider } from '../hooks/JobcastProvider';
import { App } from './App';
import './dashboard.css';
import { readIdentity } from './identity';

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no #root');

const identity = readIdentity(location.search);
const { token } = identity;
const url = new URL('.', document.baseURI).href; // which may be below a path
const client = new JobcastClient(token === null ? { url } : { url, getToken: () => token });

createRoot(root).render(
  <StrictMode>
    <JobcastProvider client={client}>
      <App identity={identity} />
    </JobcastProvider>
  </StrictMode>,
);
