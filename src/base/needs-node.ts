import { nodeProblem } from './node-version.ts';

/* Imported first by the library: the import fails with these words. */
const problem = nodeProblem(process.versions.node);
if (problem !== null) throw new Error(problem);
