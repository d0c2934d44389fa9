// The official JavaScript client as the guide uses it: node official_client.mjs URL TRANSPORT[,TRANSPORT] JOB_ID.
// Prints one JSON line per event; ends with the job.
import { createRequire } from 'node:module';

const [, , url, transport, jobId] = process.argv;
const { io } = createRequire(new URL('../../client/package.json', import.meta.url))('socket.io-client');
const say = (event, data) => console.log(JSON.stringify([event, data]));

const socket = io(`${url}/jobs`, { transports: transport.split(','), reconnection: true });
socket.io.engine.on('upgrade', (to) => say('upgrade', to.name));
socket.on('connect_error', (error) => say('connect_error', error.message));
socket.on('connect', () => {
  say('connect', socket.io.engine.transport.name);
  socket.emit('subscribe-job', jobId);
});
socket.on('subscribed', (data) => say('subscribed', data));
socket.on('job:status-changed', (data) => {
  say('job:status-changed', data);
  if (['published', 'completed', 'failed', 'cancelled'].includes(data.status)) {
    socket.emit('unsubscribe-job', jobId);
    socket.disconnect();
  }
});
setTimeout(() => process.exit(2), 30_000).unref();
