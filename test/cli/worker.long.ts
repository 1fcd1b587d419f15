import { describe } from 'node:test';
import { itExitsAtOnce, itStops, useWorkers } from './worker-scene.ts';

describe('a worker process', () => {
  const scene = useWorkers();
  itStops(scene, 'SIGINT', 'SIGTERM');
  itExitsAtOnce(scene, 'SIGINT', 'SIGTERM', 143);
});
