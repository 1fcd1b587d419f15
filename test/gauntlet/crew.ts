import { join } from 'node:path';
import { type Process, ROOT, startProgram } from '../support/processes.ts';

const PRELOAD = join(ROOT, 'test/gauntlet/fault-point.ts');

/** A worker that was told to stop and is still there after so long does not stop, in ms. */
const STOP_MS = 60_000;

interface Member {
  process: Process;
  /** Whether it is to stand still where it stops itself. */
  frozen: boolean;
  /** Whether it was told to stop; a second time would end it at once. */
  told: boolean;
  ended: number | NodeJS.Signals | null;
}

export type Crew = ReturnType<typeof createCrew>;

/** Worker processes, each of which is started again when it has ended: what a service manager does. */
export function createCrew(size: number, env: Record<string, string>) {
  const members: Member[] = [];
  /** What every process said, whichever has ended. */
  const said: Process[] = [];
  let kills = 0;
  let isOver = false;

  function start(point = ''): Member {
    const program = ['--import', PRELOAD, join(ROOT, 'src/cli.ts'), 'worker'];
    const process_ = startProgram(process.execPath, point === '' ? program.slice(2) : program, {
      env: { ...env, FAULT_POINT: point },
    });
    const member: Member = { process: process_, frozen: false, told: false, ended: null };
    said.push(process_);
    void process_.exited.then((how) => {
      member.ended = how;
      if (how === 'SIGKILL') kills++;
    });
    return member;
  }

  function at(index: number): Member {
    const member = members[index % members.length];
    if (!member) throw new Error('there is no worker');
    return member;
  }

  function tell(member: Member): void {
    if (member.told || member.ended !== null) return;
    member.told = true;
    member.process.kill('SIGTERM');
  }

  for (let index = 0; index < size; index++) members.push(start());

  return {
    size,
    /** How many were ended by SIGKILL, by whomever. */
    kills: () => kills,
    /** The fault points that were reached. */
    points: () => said.flatMap(({ stderr }) => stderr.match(/^fault point: .*$/gm) ?? []),
    stderr: () => said.map(({ stderr }) => stderr).join(''),
    /** Starts again what has ended, and wakes what stopped itself only after its time to stand still was over. */
    tend: () => {
      if (isOver) return;
      members.forEach((member, index) => {
        if (member.ended !== null) members[index] = start();
        else if (!member.frozen) member.process.kill('SIGCONT');
      });
    },
    kill: (index: number) => at(index).process.kill('SIGKILL'),
    term: (index: number) => tell(at(index)),
    /** Kills a worker and puts one in its place that kills or stops itself at the point. */
    arm: (index: number, signal: 'SIGKILL' | 'SIGSTOP', point: string) => {
      at(index).process.kill('SIGKILL');
      const member = start(`${signal} ${point}`);
      member.frozen = signal === 'SIGSTOP';
      members[index % members.length] = member;
      return member.process.pid;
    },
    thaw: () => {
      for (const member of members) member.frozen = false;
    },
    /** Tells all to stop. @returns how each ended. */
    dismiss: async (): Promise<(number | NodeJS.Signals)[]> => {
      isOver = true;
      members.forEach(tell);
      const all = members.map(({ process: worker }) => worker);
      const late = setTimeout(() => {
        for (const worker of all) worker.kill('SIGKILL');
      }, STOP_MS);
      // On a busy machine one may come only now to the point at which it stops itself.
      const thawing = setInterval(() => {
        for (const worker of all) worker.kill('SIGCONT');
      }, 1_000);
      return Promise.all(all.map(({ exited }) => exited)).finally(() => {
        clearTimeout(late);
        clearInterval(thawing);
      });
    },
    /** Whatever may still be there. */
    destroy: async () => {
      isOver = true;
      for (const worker of said) {
        worker.kill('SIGKILL');
        worker.kill('SIGCONT');
      }
      await Promise.all(said.map(({ exited }) => exited));
    },
  };
}
