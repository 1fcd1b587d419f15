import { examine } from '../app/doctor.ts';
import { plural } from '../base/words/number.ts';
import type { Finding, Level } from '../ops/doctor/finding.ts';
import { type BareContext, EXIT, widthOf, writeJson } from './context.ts';
import { wrap } from './wrap.ts';

/** Checks everything that a campaign needs, and advises what to change. Nothing is cancelled. */
export async function runDoctor(
  { env, envFile, out, stop, timings }: BareContext,
  options: { json: boolean },
): Promise<number> {
  const findings: Finding[] = [];
  for await (const finding of examine({ env, envFile, signal: stop, timings })) {
    stop.throwIfAborted();
    findings.push(finding);
    if (!options.json) await out.write(describe(finding, widthOf(out)));
  }
  const [problems, warnings] = [countOf(findings, 'problem'), countOf(findings, 'warning')];
  if (options.json) await writeJson(out, { ok: problems === 0, problems, warnings, findings });
  else await out.write(`\n${wrap(conclude(problems, warnings), widthOf(out), 0)}\n`);
  return problems === 0 ? EXIT.done : EXIT.failed;
}

const LEVEL_WIDTH = 9;
const CHECK_WIDTH = 13;

function describe({ level, check, finding, meaning, advice }: Finding, width: number): string {
  // A narrow terminal has no room for columns beside an address.
  const indent = width < 80 ? 2 : LEVEL_WIDTH + CHECK_WIDTH;
  const head = `${level.padEnd(LEVEL_WIDTH)}${check.padEnd(CHECK_WIDTH)}`;
  const first = indent === head.length ? head : `${head.trimEnd()}\n${' '.repeat(indent)}`;
  const more = [meaning, ...(advice === '' ? [] : [`→ ${advice}`])].filter((text) => text !== '');
  const lines = [finding, ...more].map((text) => wrap(text, width, indent));
  return `${first}${lines.join(`\n${' '.repeat(indent)}`)}\n`;
}

function conclude(problems: number, warnings: number): string {
  const warned = warnings > 0 ? plural(warnings, 'warning') : '';
  if (problems > 0) return `Not ready: ${[plural(problems, 'problem'), warned].filter(Boolean).join(', ')}`;
  return warned ? `Ready (${warned})` : 'Ready';
}

function countOf(findings: readonly Finding[], level: Level): number {
  return findings.filter((finding) => finding.level === level).length;
}
