/* The same property over many more schedules: `npm run test:full`. */
process.env['SCHEDULES'] = '100';
await import('./never-exceeded.test.ts');

export {};
