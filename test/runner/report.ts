import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

interface FileReport extends Totals {
  failures: Failure[];
  skips: { name: string; reason: string }[];
  /** Names of the suites and tests around the one that was told of last, by nesting. */
  path: string[];
}

interface Failure {
  name: string;
  place: string;
  error: string;
}

/** Of a failed file's own output, so many characters are shown. */
const OUTPUT_SHOWN = 4_000;

/**
 * Tells of a test run: a line for each file as it ends; then the failures in full, what was skipped and why, and the
 * totals as the last line.
 */
export function createReport({
  out,
  root,
  files,
}: {
  out: NodeJS.WritableStream;
  root: string;
  files: number;
}) {
  const reports = new Map<string, FileReport>();
  const outputs = new Map<string, string>();
  /**
   * The file that is told of now: one is told of to its end before the next. Where a test says it stands is another thing: some are
   * declared by a function of another file.
   */
  let current = newReport();
  const began = performance.now();
  const say = (line: string) => void out.write(`${line}\n`);
  say(`${files} ${files === 1 ? 'file' : 'files'}`);

  function ended(file: string, durationMs: number): void {
    const { passed, failed, skipped } = current;
    const name = relative(root, file);
    const counts = [`${passed} passed`, failed && `${failed} failed`, skipped && `${skipped} skipped`];
    const mark = failed > 0 ? '✖' : '✔';
    const seconds = `${(durationMs / 1_000).toFixed(1)} s`;
    say(`${mark} ${name.padEnd(46)} ${seconds.padStart(8)}  ${counts.filter(Boolean).join(', ')}`);
    reports.set(name, current);
    current = newReport();
  }

  return {
    take(event: TestEvent): void {
      switch (event.type) {
        case 'test:start':
          current.path.splice(event.data.nesting, Number.POSITIVE_INFINITY, event.data.name);
          return;
        case 'test:pass':
        case 'test:fail': {
          const { file = '', nesting, name, line, skip, details } = event.data;
          const path = [...current.path.slice(0, nesting), name].join(' > ');
          if (skip !== undefined) {
            current.skipped++;
            current.skips.push({ name: path, reason: typeof skip === 'string' ? skip : 'no reason given' });
            return;
          }
          if (event.type === 'test:pass') {
            if (details.type !== 'suite') current.passed++;
            return;
          }
          const error = event.data.details.error as Error & { failureType?: string };
          // That something within it failed is told there.
          if (error.failureType === 'subtestsFailed') return;
          current.failed++;
          current.failures.push({
            name: path,
            place: `${relative(root, file)}:${line ?? 1}`,
            error: told(error),
          });
          // A file that ended before its time has no summary.
          if (nesting === 0 && name === file) ended(file, details.duration_ms);
          return;
        }
        case 'test:stdout':
        case 'test:stderr': {
          const name = relative(root, event.data.file);
          outputs.set(name, ((outputs.get(name) ?? '') + event.data.message).slice(-OUTPUT_SHOWN));
          return;
        }
        case 'test:summary':
          if (event.data.file) ended(event.data.file, event.data.duration_ms);
          return;
        default:
          return;
      }
    },

    /** Says the rest. */
    finish(): Totals {
      const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
      for (const { passed, failed, skipped } of reports.values()) {
        totals.passed += passed;
        totals.failed += failed;
        totals.skipped += skipped;
      }
      for (const [file, { failures }] of reports) {
        const output = outputs.get(file) ?? '';
        for (const { name, place, error } of failures) say(`\n✖ ${name}\n  ${place}\n\n${indented(error)}`);
        if (failures.length > 0 && output !== '') say(`\n  ${file} wrote:\n\n${indented(output.trimEnd())}`);
      }
      const skips = new Map<string, string[]>();
      for (const [file, report] of reports) {
        for (const { name, reason } of report.skips) {
          skips.set(reason, [...(skips.get(reason) ?? []), `${file}: ${name}`]);
        }
      }
      if (skips.size > 0) say('\nSkipped:');
      for (const [reason, names] of skips)
        say(`  ${reason}\n${names.map((name) => `    ${name}`).join('\n')}`);
      say(`\n${((performance.now() - began) / 1_000).toFixed(1)} s`);
      const { passed, failed, skipped } = totals;
      say(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
      return totals;
    },
  };
}

function newReport(): FileReport {
  return { passed: 0, failed: 0, skipped: 0, failures: [], skips: [], path: [] };
}

/** The runner wraps what was thrown. */
function told(error: Error): string {
  const thrown = error.cause instanceof Error ? error.cause : error;
  return inspect(thrown, { depth: 6, breakLength: 100 });
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}
