import type { Actor } from '../../src/store/campaign/audit.ts';

/** Who steers campaigns in tests. */
export const TESTER: Actor = { by: 'tester@here', command: 'test' };
