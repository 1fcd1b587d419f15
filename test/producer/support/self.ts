import { registerHooks } from 'node:module';

/** Preloaded into an example: what users call `standdown` is the source here. */
const source = new URL('../../../src/index.ts', import.meta.url).href;
registerHooks({
  resolve: (specifier, context, nextResolve) =>
    specifier === 'standdown' ? { url: source, shortCircuit: true } : nextResolve(specifier, context),
});
