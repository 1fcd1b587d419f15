import { describe } from 'node:test';
import { itStops, useWorkers } from './worker-scene.ts';

describe('a worker process', () => {
  itStops(useWorkers(), 'SIGINT', 'SIGTERM');
});
