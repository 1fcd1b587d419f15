import { StanddownError } from '../base/errors.ts';
import type { DisplayState } from '../store/campaign/registry.ts';

/** Something that somebody asked for and that may take a while. */
export interface Task {
  what: string;
  by: string;
  /** Ms since 1970. */
  startedAt: number;
  endedAt: number | null;
  /** Its progress; then its result. */
  words: string;
  /** The campaign's status when it ended: once that is another one, its result is of before. Null: not known. */
  state: DisplayState | null;
  failed: boolean;
}

export type Tasks = ReturnType<typeof createTasks>;

/** How long the result of one is shown, in ms. */
const SHOWN_MS = 10 * 60_000;

/** So long whoever asked waits for the answer, in ms; after that the page shows the progress. */
const WAIT_MS = 1_500;

/** What goes on in this console beyond a page, by campaign. */
export function createTasks(deps: { wall(): number; describe(error: unknown): string }) {
  const tasks = new Map<string, Task[]>();
  const running = new Set<Promise<void>>();

  function of(key: string): Task[] {
    const kept = (tasks.get(key) ?? []).filter(
      ({ endedAt }) => endedAt === null || deps.wall() - endedAt < SHOWN_MS,
    );
    if (kept.length > 0) tasks.set(key, kept);
    else tasks.delete(key);
    return kept;
  }

  return {
    /** Latest last. */
    of,
    /**
     * Begins one, and waits a little for its end.
     *
     * What it fails with, the page shows. @throws StanddownError CAMPAIGN_CLOSED while the same still runs.
     */
    run: async (
      key: string,
      { what, by, readState }: Pick<Task, 'what' | 'by'> & { readState(): Promise<DisplayState> },
      work: (tell: (words: string) => void) => Promise<string>,
    ): Promise<void> => {
      if (of(key).some((task) => task.what === what && task.endedAt === null))
        throw new StanddownError('CAMPAIGN_CLOSED', `${what} is already in progress.`);
      const task: Task = {
        what,
        by,
        startedAt: deps.wall(),
        endedAt: null,
        words: 'started',
        state: null,
        failed: false,
      };
      tasks.set(key, [...of(key), task]);
      const done = work((words) => {
        task.words = words;
      })
        .then(
          (words) => {
            task.words = words;
          },
          (error: unknown) => {
            Object.assign(task, { failed: true, words: deps.describe(error) });
          },
        )
        .finally(async () => {
          task.state = await readState().catch(() => null);
          task.endedAt = deps.wall();
          running.delete(done);
        });
      running.add(done);
      let timer: NodeJS.Timeout | undefined;
      const waited = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, WAIT_MS);
      });
      await Promise.race([done, waited]).finally(() => clearTimeout(timer));
    },
    /** Waits for what runs. */
    settle: async (): Promise<void> => {
      await Promise.all(running);
    },
  };
}
