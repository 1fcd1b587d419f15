import { z } from 'zod';

/**
 * What the feeder puts into `cancel-campaign`. Ours alone, but workers of the last two versions read each other's: fields
 * may be added, not changed.
 */
export const fedJobSchema = z.object({
  v: z.literal(1),
  /** Lower-case GUID. */
  id: z.guid(),
  comment: z.string().min(1),
  /** The campaign's number. */
  campaign: z.number().int().positive(),
  /** The list showed the action just now. */
  listed: z.boolean().exactOptional(),
});

/**
 * The urgent campaign that the feeder put a job into a public lane for. Beside that it is a job as a service would put there; those of the
 * version before say nothing of it.
 */
const fedForSchema = z.object({ fedFor: z.number().int().positive() });

/** Number of that campaign; undefined: it is a service's job. */
export function fedFor(data: unknown): number | undefined {
  return fedForSchema.safeParse(data).data?.fedFor;
}

export type FedJob = z.infer<typeof fedJobSchema>;
