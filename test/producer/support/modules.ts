import { registerHooks } from 'node:module';

/** Preloaded into a process: says at its end which modules it has loaded, one a line on standard error. */
const loaded = new Set<string>();
registerHooks({
  load: (url, context, nextLoad) => {
    loaded.add(url);
    return nextLoad(url, context);
  },
});
process.on('exit', () => {
  process.stderr.write(`${[...loaded].join('\n')}\n`);
});
